package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newUtilityMeter() *cobra.Command {
	cmd := group("meter", "Add, move, replace and retire meters, and see how they do")
	cmd.AddCommand(p.newMeterAdd(), p.newMeterRecord(), p.newMeterList(), p.newMeterShow(), p.newMeterPing(),
		p.newMeterReplace(), p.newMeterMove(), p.newMeterRetire())
	return cmd
}

func (p *party) newMeterAdd() *cobra.Command {
	var in api.NewMeters
	var out string
	cmd := &cobra.Command{
		Use:   "add --count N --out FILE",
		Short: "Make meters known and write their provisioning records",
		Long: `Make meters known to the utility and write a provisioning record for each, one a
line: the meter's name, the secret that it shares with the utility, its
collectors and the fingerprint of the TTP's root key. "wattveil-meter run
--provision FILE" reads it.

The file holds these secrets and gets mode 0600. Move it to the installers and
delete it. Before a meter has registered, "meter record" writes its record again.

Without --collector the records name all collectors whose address is known. A
meter tries them in turn, so that it moves to another one by itself.`,
		Example: `  wattveil utility meter add --count 20 --out meters.jsonl --dir utility
  wattveil utility meter add --count 1 --collector mqtt://north.example:1883 --ttp example-trust --out meter.jsonl --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.IntVar(&in.Count, "count", 0, "`number` of meters, at most 10000")
	f.StringVar(&out, "out", "", "`file` to write, which must not exist")
	f.StringVar(&in.TTP, "ttp", "", "`organisation` of the meters' TTP, if there are several")
	suggestFlag(cmd, "ttp", suggest(p.utilityClient, trusteeNames))
	f.StringSliceVar(&in.Collectors, "collector", nil, "`addresses` of collectors, mqtt://HOST:PORT or mqtts://HOST:PORT, tried in turn")
	f.BoolVar(&in.Unpinned, "unpinned", false, "leave the TTP's root key out, so that a claim has to confirm each meter")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if in.Count < 1 || in.Count > 10_000 {
			return misusef("--count %d: want 1 to 10000", in.Count)
		}
		if err := checkNew(out); err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var made api.Records
			if err := c.Do(ctx, http.MethodPost, "/v1/meters", in, &made); err != nil {
				return err
			}
			if err := writeRecords(out, made.Lines); err != nil {
				return err
			}
			fmt.Fprintf(w, "added %d meters; %s holds their secrets: move it to the installers\n", len(made.Lines), out)
			return nil
		})(cmd, args)
	}
	return cmd
}

// writeRecords writes the records of meters that are made. What to do when that
// fails is part of its error: the meters are there already.
func writeRecords(out string, lines []string) error {
	if err := writeNew(out, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		return fmt.Errorf("the meters are made, and their records are not written; once they can be, write them with wattveil utility meter record, for the last %d that meter list names: %w",
			len(lines), err)
	}
	return nil
}

func (p *party) newMeterRecord() *cobra.Command {
	var in api.Again
	var out string
	cmd := &cobra.Command{
		Use:   "record METER... --out FILE",
		Short: "Write the provisioning records of meters again",
		Long: `Write the provisioning records of meters again, as "meter add" and "meter replace"
do, when the first ones were not written or were lost. That is possible until a
meter has registered. If somebody else may have the first record, retire the
meter and add another one: the secret in both is the same.

--collector and --unpinned are not remembered: give them again.`,
		Example: `  wattveil utility meter record 0f3a5c7e91b2d4f6 --out meter.jsonl --dir utility
  wattveil utility meter record 0f3a5c7e91b2d4f6 8d2b6a4c0e1f3957 --collector mqtt://north.example:1883 --out meters.jsonl --dir utility`,
		Args: cobra.MinimumNArgs(1),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "`file` to write, which must not exist")
	f.StringSliceVar(&in.Collectors, "collector", nil, "`addresses` of collectors, mqtt://HOST:PORT or mqtts://HOST:PORT, tried in turn")
	f.BoolVar(&in.Unpinned, "unpinned", false, "leave the TTP's root key out, so that a claim has to confirm each meter")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		paths := make([]string, len(args))
		for i, id := range args {
			path, err := meterPath(id)
			if err != nil {
				return err
			}
			paths[i] = path
		}
		if err := checkNew(out); err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var lines []string
			for _, path := range paths {
				var again api.Records
				if err := c.Do(ctx, http.MethodPost, path+"/record", in, &again); err != nil {
					return err
				}
				lines = append(lines, again.Lines...)
			}
			if err := writeNew(out, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
				return err
			}
			fmt.Fprintf(w, "%s holds the secrets of %d meters: move it to the installers\n", out, len(lines))
			return nil
		})(cmd, args)
	}
	return cmd
}

// eachMeter calls do with every meter of the utility in the order in which they
// were added.
func eachMeter(ctx context.Context, c *operator.Client, do func(api.Meter) error) error {
	for mark := int64(0); ; {
		var part api.MeterList
		if err := c.Do(ctx, http.MethodGet, fmt.Sprintf("/v1/meters?mark=%d", mark), nil, &part); err != nil {
			return err
		}
		for _, m := range part.Meters {
			if err := do(m); err != nil {
				return err
			}
		}
		if part.Next == 0 {
			return nil
		}
		mark = part.Next
	}
}

func (p *party) newMeterList() *cobra.Command {
	var asJSON bool
	var state string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List meters, how far they have come and when they were last heard of",
		Long: `List meters in the order in which they were added. A meter is added, then
registered when it has a key, then enrolled at its TTP, or refused there. One that
was replaced or retired is draining for 45 days, then ended. NOTE says what
becomes of it, or has become of it.`,
		Example: `  wattveil utility meter list --dir utility
  wattveil utility meter list --state added --json --dir utility`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one meter a line")
	cmd.Flags().StringVar(&state, "state", "", "only meters in this `state`: added, registered, enrolled, refused, draining or ended")
	suggestFlag(cmd, "state", cobra.FixedCompletions(
		[]string{"added", "registered", "enrolled", "refused", "draining", "ended"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch state {
		case "", "added", "registered", "enrolled", "refused", "draining", "ended":
		default:
			return misusef("--state %q: want added, registered, enrolled, refused, draining or ended", state)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			rows := [][]string{{"METER", "TTP", "STATE", "HEARD", "BY", "NOTE"}}
			err := eachMeter(ctx, c, func(m api.Meter) error {
				switch {
				case state != "" && m.State != state:
					return nil
				case asJSON:
					return printLine(w, m)
				}
				rows = append(rows, []string{m.ID, m.TTP, m.State, moment(m.Heard), orDash(m.Collector), meterNote(m)})
				return nil
			})
			if err != nil || asJSON {
				return err
			}
			return printTable(w, rows...)
		})(cmd, args)
	}
	return cmd
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// meterPath is where the API has a meter.
func meterPath(id string) (string, error) {
	if _, err := wattveil.ParseMeterID(id); err != nil {
		return "", misuse(err.Error())
	}
	return "/v1/meters/" + url.PathEscape(id), nil
}

func (p *party) newMeterShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show METER",
		Short:   "Show what the utility knows of a meter",
		Long:    "Show what the utility knows of a meter, which is named by its 16 hexadecimal digits.",
		Example: "  wattveil utility meter show 0f3a5c7e91b2d4f6 --dir utility",
		Args:    oneName("METER"),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := meterPath(args[0])
		if err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var m api.Meter
			if err := c.Do(ctx, http.MethodGet, path, nil, &m); err != nil {
				return err
			}
			if asJSON {
				return printLine(w, m)
			}
			rows := [][]string{{"meter", m.ID}, {"TTP", m.TTP}, {"state", m.State},
				{"pseudonym", orDash(m.Pseudonym)}, {"last heard of", moment(m.Heard)}, {"by", orDash(m.Collector)}}
			return printTable(w, append(rows, meterLife(m)...)...)
		})(cmd, args)
	}
	return cmd
}

func (p *party) newMeterPing() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "ping METER",
		Short: "Tell whether a meter is there",
		Long: `Tell when a collector last posted a message of a meter, and which collector that
was. That is all the utility knows of it: it cannot tell what was in the message,
and keeps no earlier times.

The exit code is 0 if the meter was heard of within --within, and 1 otherwise.`,
		Example: "  wattveil utility meter ping 0f3a5c7e91b2d4f6 --within 1h --dir utility",
		Args:    oneName("METER"),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	cmd.Flags().DurationVar(&within, "within", 24*time.Hour, "how long ago a meter that is there was heard of at most")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := meterPath(args[0])
		if err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var m api.Meter
			if err := c.Do(ctx, http.MethodGet, path, nil, &m); err != nil {
				return err
			}
			if m.Heard == nil {
				return errors.New("the meter was never heard of")
			}
			ago := time.Since(*m.Heard).Round(time.Second)
			if ago > within {
				return fmt.Errorf("the meter was last heard of %v ago, by %s", ago, m.Collector)
			}
			fmt.Fprintf(w, "heard of %v ago by %s\n", max(ago, 0), m.Collector)
			return nil
		})(cmd, args)
	}
	return cmd
}
