package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/reconcile"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

// billReconcile is the command that compares feeders with bills.
type billReconcile struct {
	feederFile, meterFile, zone string
	period, tariff, threshold   string
	asJSON                      bool
	err                         io.Writer
}

func (p *party) newBillReconcile() *cobra.Command {
	var r billReconcile
	cmd := &cobra.Command{
		Use:   "reconcile --feeder FILE --meters FILE --period PERIOD",
		Short: "Compare what feeders have counted with the bills behind them",
		Long: `Compare what the utility's own meters at its feeders have counted with the bills
of the meters behind each. What is left is losses, and energy that nobody has
paid for. Only the totals of bills are used, which say what a meter drew and fed
in over a whole bill.

--feeder is a CSV file with the columns feeder, from, to and import_kwh, and if
energy goes back to the grid export_kwh; --meters one with the columns meter and
feeder (spec/billing.md). The rows of a feeder must cover the period.

Bills that lie within the period count; one that another corrects does not. A
meter whose bills leave a part of the period out, or do not tell their energy, is
counted as without a bill.

A feeder is notable if the difference is beyond --threshold, if a meter is without
a bill, or if it has no meters. The exit code is 0 if no feeder is notable, 3 if
one is, and 1 if nothing could be compared.`,
		Example: `  wattveil utility bill reconcile --feeder feeders.csv --meters places.csv --period 2018-11 --dir utility
  wattveil utility bill reconcile --feeder feeders.csv --meters places.csv --period 2018-11-01/2018-12-01 --tz Europe/Zurich --threshold 3.5 --json --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&r.feederFile, "feeder", "", "CSV `file` with what feeders have counted")
	f.StringVar(&r.meterFile, "meters", "", "CSV `file` with the feeder of each meter")
	f.StringVar(&r.period, "period", "", "what to compare: a month such as 2018-11, or FROM/TO")
	f.StringVar(&r.zone, "tz", "", "time `zone` of months and dates (default: that of the tariffs)")
	f.StringVar(&r.tariff, "tariff", "", "only bills by the tariff with this `id`")
	f.StringVar(&r.threshold, "threshold", "5", "`percent` of a feeder's energy from which a difference is notable")
	f.BoolVar(&r.asJSON, "json", false, "print JSON, one feeder a line")
	suggestFlag(cmd, "tariff", suggest(p.utilityClient, tariffNames))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, needed := range [][2]string{{"--feeder", r.feederFile}, {"--meters", r.meterFile}, {"--period", r.period}} {
			if needed[1] == "" {
				return misusef("%s is missing", needed[0])
			}
		}
		threshold, err := tariff.ParseDecimal(r.threshold)
		if err != nil || threshold.Sign() < 0 {
			return misusef("--threshold %q: want a percentage such as 3.5", r.threshold)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			r.err = cmd.ErrOrStderr()
			return r.run(ctx, c, threshold, w)
		})(cmd, args)
	}
	return cmd
}

func (r *billReconcile) run(ctx context.Context, c *operator.Client, threshold tariff.Decimal, out io.Writer) error {
	zone, err := r.chooseZone(ctx, c)
	if err != nil {
		return err
	}
	from, to, err := parsePeriod(r.period, zone)
	if err != nil {
		return err
	}
	var feeders []reconcile.Feeder
	err = readFile("--feeder", r.feederFile, func(in io.Reader) (err error) {
		feeders, err = reconcile.ReadFeeders(in, from, to)
		return err
	})
	if err != nil {
		return err
	}
	var places reconcile.Places
	err = readFile("--meters", r.meterFile, func(in io.Reader) (err error) {
		places, err = reconcile.ReadPlaces(in, feeders)
		return err
	})
	if err != nil {
		return err
	}
	bills, err := r.bills(ctx, c, from, to, places)
	if err != nil {
		return err
	}
	results, err := reconcile.Compare(feeders, places, bills, from, to, threshold)
	if err != nil {
		return err
	}
	return r.print(out, results)
}

// chooseZone is the zone of --tz, or the one that all tariffs have.
func (r *billReconcile) chooseZone(ctx context.Context, c *operator.Client) (string, error) {
	if r.zone != "" {
		_, err := tariff.LoadZone(r.zone)
		if err != nil {
			err = fmt.Errorf("--tz %s: %w", r.zone, err)
		}
		return r.zone, err
	}
	list, err := listTariffs(ctx, c)
	if err != nil {
		return "", err
	}
	zones := make(map[string]bool)
	for _, t := range list {
		zones[t.Timezone] = true
		r.zone = t.Timezone
	}
	if len(zones) != 1 {
		return "", fmt.Errorf("--tz is missing: the tariffs are of %d time zones", len(zones))
	}
	return r.zone, nil
}

// readFile opens a file that a flag names.
func readFile(flag, path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	defer func() { _ = f.Close() }()
	if err := read(bufio.NewReader(f)); err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return nil
}

// bills are the valid ones of the period and the places.
func (r *billReconcile) bills(ctx context.Context, c *operator.Client, from, to time.Time, places reconcile.Places) (list []reconcile.Bill, err error) {
	bar := billBar(r.err, "meters", len(places))
	for _, id := range slices.Sorted(maps.Keys(places)) {
		q := billQuery{tariff: r.tariff, meter: id.String(), period: from.Format(rfc3339) + "/" + to.Format(rfc3339)}
		err := q.each(ctx, c, func(b api.MeterBill) error {
			if b.Document != nil && b.Meter == id.String() { // and not of the device in its place
				list = append(list, reconcile.Bill{Meter: id, JWS: b.JWS, Bill: *b.Document})
			}
			return nil
		})
		if err != nil {
			_ = bar.Exit()
			return nil, err
		}
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	return list, nil
}

func (r *billReconcile) print(out io.Writer, results []reconcile.Result) error {
	rows := [][]string{{"FEEDER", "METERS", "WITHOUT BILL", "FEEDER KWH", "BILLS KWH", "DIFFERENCE", "PERCENT", ""}}
	var notable []string
	for _, f := range results {
		mark := ""
		if f.Notable {
			mark = "notable"
			notable = append(notable, f.Feeder)
		}
		if r.asJSON {
			if err := printLine(out, f); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{f.Feeder, fmt.Sprint(f.Meters), fmt.Sprint(f.Unbilled), f.FeederKWh, f.BillsKWh, f.Difference, orDash(f.Percent), mark})
	}
	if !r.asJSON {
		if err := printTable(out, rows...); err != nil {
			return err
		}
	}
	if len(notable) == 0 {
		return nil
	}
	few := strings.Join(notable[:min(3, len(notable))], ", ")
	return found{fmt.Errorf("%d of %d feeders are notable, such as %s", len(notable), len(results), few)}
}
