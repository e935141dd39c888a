package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
	"github.com/wattveil/wattveil/wire"
)

func (p *party) newMeterReplace() *cobra.Command {
	var in api.Replacement
	var out string
	cmd := &cobra.Command{
		Use:   "replace METER --out FILE",
		Short: "Make a device that takes a meter's place, or accept a new key of the same one",
		Long: `Make a device known that takes the place of a meter, and write its provisioning
record, as "meter add" does. It has a name and a secret of its own and gets the
pseudonym of the old one when it registers first. The old device works until
then; from then on it drains: what it has sent still passes for 45 days, and
nothing new is taken from it. Bills go on under the new name, also for the time
before.

The registers of the two have nothing to do with each other, so the interval in
which they were exchanged has no reading unless the new device has one at the end
of the old one's last interval.

With --same-device there is no other device: this one has lost its vault. It
keeps its name and its provisioning record, and the next other key that it
registers with is accepted, once.

Without the TTP's root key in its record (--unpinned) a device is unconfirmed at
the TTP until its consumer claims it.`,
		Example: `  wattveil utility meter replace 0f3a5c7e91b2d4f6 --out new.jsonl --dir utility
  wattveil utility meter replace 0f3a5c7e91b2d4f6 --collector mqtt://north.example:1883 --out new.jsonl --dir utility
  wattveil utility meter replace 0f3a5c7e91b2d4f6 --same-device --dir utility`,
		Args: oneName("METER"),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "`file` to write, which must not exist")
	f.StringSliceVar(&in.Collectors, "collector", nil, "`addresses` of collectors, mqtt://HOST:PORT, tried in turn")
	f.BoolVar(&in.Unpinned, "unpinned", false, "leave the TTP's root key out, so that a claim has to confirm the device")
	f.BoolVar(&in.SameDevice, "same-device", false, "the device has lost its vault: accept its next key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := meterPath(args[0])
		switch {
		case err != nil:
			return err
		case in.SameDevice && (out != "" || in.Unpinned || len(in.Collectors) > 0):
			return misuse("--same-device makes no new record: leave out --out, --collector and --unpinned")
		case in.SameDevice:
			return p.ask(p.utilityClient, replaceKey(path, args[0]))(cmd, args)
		}
		if err := checkNew(out); err != nil {
			return err
		}
		return p.ask(p.utilityClient, replaceDevice(path, args[0], out, &in))(cmd, args)
	}
	return cmd
}

func replaceKey(path, meter string) func(context.Context, *operator.Client, io.Writer) error {
	return func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var none api.Records
		if err := c.Do(ctx, http.MethodPost, path+"/replace", api.Replacement{SameDevice: true}, &none); err != nil {
			return err
		}
		fmt.Fprintf(w, "the next other key of meter %s is accepted\n", meter)
		return nil
	}
}

func replaceDevice(path, meter, out string, in *api.Replacement) func(context.Context, *operator.Client, io.Writer) error {
	return func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var made api.Records
		if err := c.Do(ctx, http.MethodPost, path+"/replace", in, &made); err != nil {
			return err
		}
		if len(made.Lines) != 1 {
			return fmt.Errorf("%d provisioning records came back, want 1", len(made.Lines))
		}
		if err := writeRecords(out, made.Lines); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s holds the secret of the device that replaces meter %s: move it to the installer\n", out, meter)
		return nil
	}
}

func (p *party) newMeterMove() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "move METER",
		Short: "Give a meter another pseudonym from a time on: another tenant",
		Long: `Give a meter another pseudonym from a time on, because another tenant moves in.
The TTP sees one pseudonym end and another begin, and no more. Readings up to the
time belong to the old one, those behind it to the new one, and the reading of
the time itself to both, so that each has all of its intervals. A billing run over
the time gives a bill for each, for its part of the period.

The meter is told when it sends, at most three days before. One that hears of it
late ends the old pseudonym with the last reading that it had sent by then; the
new one lacks the time until then, and so does its first bill.

--at is a full quarter of an hour with an offset. Without it, it is the first full
hour that is at least one hour away. It can be changed until three days before.`,
		Example: `  wattveil utility meter move 0f3a5c7e91b2d4f6 --at 2026-04-01T00:00:00+02:00 --dir utility
  wattveil utility meter move 0f3a5c7e91b2d4f6 --dir utility`,
		Args: oneName("METER"),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	cmd.Flags().StringVar(&at, "at", "", "`time` of the move, RFC 3339")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := meterPath(args[0])
		if err != nil {
			return err
		}
		var in api.Move
		if at != "" {
			t, err := time.Parse(time.RFC3339, at)
			switch {
			case err != nil:
				return misusef("--at %q: want a time such as 2026-04-01T00:00:00+02:00", at)
			case t.Nanosecond() != 0 || t.Unix()%wire.MoveStep != 0:
				return misusef("--at %q: want a full quarter of an hour", at)
			}
			in.At = &t
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var m api.Meter
			if err := c.Do(ctx, http.MethodPost, path+"/move", in, &m); err != nil {
				return err
			}
			fmt.Fprintf(w, "meter %s gets another pseudonym at %s\n", m.ID, moment(m.MoveAt))
			return nil
		})(cmd, args)
	}
	return cmd
}

func (p *party) newMeterRetire() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire METER",
		Short: "Take nothing new from a meter",
		Long: `Take nothing new from a meter, for good. What it has sent, or sends under keys that
it has, still passes for 45 days. Then it is unknown: its secret is destroyed,
and collectors let it in no more. Bills of its past can still be asked for, up to
the last full hour before now.`,
		Example: "  wattveil utility meter retire 0f3a5c7e91b2d4f6 --dir utility",
		Args:    oneName("METER"),

		ValidArgsFunction: suggest(p.utilityClient, meterNames),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := meterPath(args[0])
		if err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var m api.Meter
			if err := c.Do(ctx, http.MethodPost, path+"/retire", nil, &m); err != nil {
				return err
			}
			fmt.Fprintf(w, "meter %s takes nothing new; what is on its way passes until %s\n", m.ID, moment(m.DrainsUntil))
			return nil
		})(cmd, args)
	}
	return cmd
}

// meterNote says what becomes of a meter, in a few words.
func meterNote(m api.Meter) string {
	switch {
	case m.MoveAt != nil:
		return "moves at " + moment(m.MoveAt)
	case m.AwaitsKey:
		return "awaits a new key"
	case m.ReplacedBy != "" && m.DrainsUntil == nil:
		return "to be replaced by " + m.ReplacedBy
	case m.ReplacedBy != "":
		return "replaced by " + m.ReplacedBy
	case m.RetiredAt != nil:
		return "retired " + moment(m.RetiredAt)
	case m.MovedAt != nil:
		return "moved " + moment(m.MovedAt)
	case m.Replaces != "":
		return "replaces " + m.Replaces
	default:
		return "-"
	}
}

// meterLife are the lines about it that "meter show" prints.
func meterLife(m api.Meter) (rows [][]string) {
	add := func(name, value string) {
		if value != "" && value != moment(nil) {
			rows = append(rows, []string{name, value})
		}
	}
	add("replaces", m.Replaces)
	add("replaced by", m.ReplacedBy)
	if m.AwaitsKey {
		add("awaits", "a new key")
	}
	add("moves at", moment(m.MoveAt))
	add("moved", moment(m.MovedAt))
	add("retired", moment(m.RetiredAt))
	add("drains until", moment(m.DrainsUntil))
	return rows
}
