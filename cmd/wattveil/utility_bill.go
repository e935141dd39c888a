package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
	"github.com/wattveil/wattveil/wire"
)

func (p *party) newUtilityBill() *cobra.Command {
	cmd := group("bill", "Ask TTPs for bills and see them")
	cmd.AddCommand(p.newBillRun(), p.newBillList(), p.newBillShow())
	return cmd
}

// billRun is the command that asks for the bills of a period.
type billRun struct {
	period, tariff, meters string
	jsonFile, csvFile      string

	client   *operator.Client
	out, err io.Writer
}

// billsAtOnce is how many meters one request names.
const billsAtOnce = 500

func (p *party) newBillRun() *cobra.Command {
	var r billRun
	cmd := &cobra.Command{
		Use:   "run --period PERIOD",
		Short: "Ask the TTPs for the bills of a period, verify and keep them",
		Long: `Ask the TTPs for the bills of a period by a tariff, for all meters or for those
in --meters. Each bill is verified and kept. A meter without a bill does not stop
the others: the summary says why there is none, and the exit code is 1.

A meter that has moved in the period gets a bill for each of its pseudonyms, each
for the part of the period in which it held. The bills of a replaced meter are
those of the device in its place.

The run can be stopped and started again at any time: what is kept is not asked
for again, and the same run gives the same bills.

PERIOD is a month in the tariff's time zone (2018-11), or FROM/TO, both dates
there or both times with an offset; TO is exclusive.

--json writes a line of JSON for each meter, --csv a line for each line of each
bill. A file appears when it is complete.`,
		Example: `  wattveil utility bill run --period 2018-11 --dir utility
  wattveil utility bill run --period 2018-11-05/2018-12-01 --tariff tou-2018 --meters moved-in.txt --json bills.jsonl --csv lines.csv --dir utility
  wattveil utility bill run --period 2018-11-05T10:00:00+01:00/2018-11-05T10:05:00+01:00 --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&r.period, "period", "", "what to bill")
	f.StringVar(&r.tariff, "tariff", "", "`id` of the tariff, if several were put")
	suggestFlag(cmd, "tariff", suggest(p.utilityClient, tariffNames))
	f.StringVar(&r.meters, "meters", "", "`file` with one meter a line, - for standard input (default: all)")
	f.StringVar(&r.jsonFile, "json", "", "`file` for the bills as JSON Lines")
	f.StringVar(&r.csvFile, "csv", "", "`file` for the bills' lines as CSV")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.period == "" {
			return misuse("--period is missing: name a month such as 2018-11, or FROM/TO")
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			r.client, r.out, r.err = c, w, cmd.ErrOrStderr()
			return r.run(ctx, cmd.InOrStdin())
		})(cmd, args)
	}
	return cmd
}

func (r *billRun) run(ctx context.Context, in io.Reader) (err error) {
	terms, err := r.chooseTariff(ctx)
	if err != nil {
		return err
	}
	from, to, err := parsePeriod(r.period, terms.Timezone)
	if err != nil {
		return err
	}
	meters, err := r.chooseMeters(ctx, in)
	if err != nil {
		return err
	}
	sinks, err := r.openSinks()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sinks.discard()) }()
	bar := r.progress(len(meters))
	var outcome billOutcome
	for chunk := range slices.Chunk(meters, billsAtOnce) {
		var answer api.BillList
		request := api.RunBills{Tariff: terms.ID, From: from, To: to, Meters: chunk}
		if err := r.client.Do(ctx, http.MethodPost, "/v1/bills/run", request, &answer); err != nil {
			return fmt.Errorf("%w; run it again to go on", err)
		}
		for _, b := range answer.Bills {
			if r.meters == "" && b.Class == string(wire.Retired) {
				continue // nothing of it in the period, or its successor has it
			}
			outcome.add(b)
			if err := sinks.write(b); err != nil {
				return err
			}
		}
		_ = bar.Add(len(chunk))
	}
	_ = bar.Finish()
	if err := sinks.keep(); err != nil {
		return err
	}
	return r.summary(outcome)
}

// billOutcome counts the bills of a run.
type billOutcome struct {
	bills   int
	missing map[string]int // by class
	example string
}

func (o *billOutcome) add(b api.MeterBill) {
	o.bills++
	if b.Class == "" {
		return
	}
	if o.missing == nil {
		o.missing = make(map[string]int)
	}
	o.missing[b.Class]++
	o.example = b.Meter + ": " + b.Reason
}

// summary says how many bills there are, and fails if some are missing.
func (r *billRun) summary(o billOutcome) error {
	without := 0
	var reasons []string
	for _, class := range slices.Sorted(maps.Keys(o.missing)) {
		without += o.missing[class]
		reasons = append(reasons, fmt.Sprintf("%d %s", o.missing[class], class))
	}
	fmt.Fprintf(r.out, "%d of %d bills verified and kept\n", o.bills-without, o.bills)
	if without > 0 {
		return fmt.Errorf("%d of %d bills are missing (%s), such as that of %s", without, o.bills, strings.Join(reasons, ", "), o.example)
	}
	return nil
}

func (r *billRun) progress(n int) *progressbar.ProgressBar {
	out := r.err
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		out = io.Discard
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("bills"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
}

func (r *billRun) chooseTariff(ctx context.Context) (api.Tariff, error) {
	var list []api.Tariff
	if err := r.client.Do(ctx, http.MethodGet, "/v1/tariffs", nil, &list); err != nil {
		return api.Tariff{}, err
	}
	var ids []string
	for _, t := range list {
		if t.ID == r.tariff || r.tariff == "" && len(list) == 1 {
			return t, nil
		}
		ids = append(ids, t.ID)
	}
	switch {
	case len(list) == 0:
		return api.Tariff{}, errors.New("there is no tariff: put one with wattveil utility tariff put FILE")
	case r.tariff == "":
		return api.Tariff{}, misusef("--tariff is missing: choose one of %s", strings.Join(ids, ", "))
	default:
		return api.Tariff{}, fmt.Errorf("--tariff %s: there is no such tariff; there are %s", r.tariff, strings.Join(ids, ", "))
	}
}

// chooseMeters are the meters to bill, each once.
func (r *billRun) chooseMeters(ctx context.Context, in io.Reader) ([]string, error) {
	if r.meters == "" {
		var all []string
		err := eachMeter(ctx, r.client, func(m api.Meter) error {
			if m.Pseudonym == "" && (m.Replaces != "" || m.RetiredAt != nil) {
				return nil // it has never measured anything: nobody waits for its bill
			}
			all = append(all, m.ID)
			return nil
		})
		if err == nil && len(all) == 0 {
			err = errors.New("the utility has no meters: add some with wattveil utility meter add")
		}
		return all, err
	}
	if r.meters == "-" {
		return readMeters("--meters -", in)
	}
	f, err := os.Open(r.meters)
	if err != nil {
		return nil, fmt.Errorf("--meters: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readMeters("--meters "+r.meters, f)
}

// readMeters reads one name a line. Empty lines and those that begin with # are
// nothing.
func readMeters(flag string, in io.Reader) ([]string, error) {
	var list []string
	seen := make(map[wattveil.MeterID]bool)
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		name := strings.TrimSpace(lines.Text())
		if name == "" || name[0] == '#' {
			continue
		}
		id, err := wattveil.ParseMeterID(name)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", flag, n, err)
		}
		if seen[id] {
			return nil, fmt.Errorf("%s: line %d: meter %v is there twice", flag, n, id)
		}
		seen[id] = true
		list = append(list, id.String())
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there are no meters in it", flag)
	}
	return list, nil
}

// billQuery chooses kept bills on the command line.
type billQuery struct {
	period, tariff, meter string
	asJSON                bool
}

func (q *billQuery) values() (url.Values, error) {
	v := make(url.Values)
	if q.tariff != "" {
		v.Set("tariff", q.tariff)
	}
	if q.meter != "" {
		if _, err := wattveil.ParseMeterID(q.meter); err != nil {
			return nil, misusef("--meter: %v", err)
		}
		v.Set("meter", q.meter)
	}
	if q.period != "" {
		from, to, err := parsePeriod(q.period, "UTC")
		if err != nil {
			return nil, err
		}
		v.Set("from", from.UTC().Format(rfc3339))
		v.Set("to", to.UTC().Format(rfc3339))
	}
	return v, nil
}

// eachBill calls do with the kept bills that the query chooses.
func (q *billQuery) each(ctx context.Context, c *operator.Client, do func(api.MeterBill) error) error {
	v, err := q.values()
	if err != nil {
		return err
	}
	for skip := 0; ; {
		v.Set("skip", fmt.Sprint(skip))
		var part api.BillList
		if err := c.Do(ctx, http.MethodGet, "/v1/bills?"+v.Encode(), nil, &part); err != nil {
			return err
		}
		for _, b := range part.Bills {
			if err := do(b); err != nil {
				return err
			}
		}
		if len(part.Bills) == 0 {
			return nil
		}
		skip += len(part.Bills)
	}
}

func (p *party) newBillList() *cobra.Command {
	var q billQuery
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the bills that are kept",
		Long: `List the bills that are kept, by the start of their period. --period chooses
those whose period begins in it; a month or a date is taken in UTC.`,
		Example: `  wattveil utility bill list --dir utility
  wattveil utility bill list --period 2018-11 --json --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&q.period, "period", "", "bills that begin in this `period`")
	f.StringVar(&q.tariff, "tariff", "", "bills by the tariff with this `id`")
	f.StringVar(&q.meter, "meter", "", "bills of this `meter`")
	f.BoolVar(&q.asJSON, "json", false, "print JSON, one bill a line")
	cmd.RunE = p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		rows := [][]string{{"METER", "TARIFF", "FROM", "TO", "TOTAL"}}
		err := q.each(ctx, c, func(b api.MeterBill) error {
			if q.asJSON {
				return printLine(w, b)
			}
			total := "not valid: " + b.Class
			if b.Document != nil {
				total = b.Document.Total + " " + b.Document.Currency
			}
			rows = append(rows, []string{b.Meter, b.Tariff, moment(b.From), moment(b.To), total})
			return nil
		})
		if err != nil || q.asJSON {
			return err
		}
		return printTable(w, rows...)
	})
	return cmd
}

func (p *party) newBillShow() *cobra.Command {
	var q billQuery
	cmd := &cobra.Command{
		Use:   "show METER",
		Short: "Show the bills of a meter with their lines",
		Long: `Show the bills of a meter that are kept, with their lines. --json prints each as
the TTP signed it, with the salt that ties it to the meter's pseudonym.`,
		Example: "  wattveil utility bill show 0f3a5c7e91b2d4f6 --period 2018-11 --dir utility",
		Args:    oneName("METER"),
	}
	f := cmd.Flags()
	f.StringVar(&q.period, "period", "", "bills that begin in this `period`")
	f.StringVar(&q.tariff, "tariff", "", "bills by the tariff with this `id`")
	f.BoolVar(&q.asJSON, "json", false, "print JSON, one bill a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.meter = args[0]
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			shown := 0
			err := q.each(ctx, c, func(b api.MeterBill) error {
				shown++
				if q.asJSON {
					return printLine(w, b)
				}
				return printBill(w, b)
			})
			if err == nil && shown == 0 {
				err = fmt.Errorf("no bill of meter %s is kept for that", q.meter)
			}
			return err
		})(cmd, args)
	}
	return cmd
}
