package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/grid"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/tariff"
)

// demo is the command that runs the whole platform in one process.
type demo struct {
	meters     int
	days       int
	readings   string
	zone       string
	columns    []string
	tariffFile string
	billFrom   string
	billTo     string
	loss       float64
	collectors int
	dir        string
	seed       uint64
	report     string
	headless   bool
	verbose    bool

	out, err io.Writer
}

const (
	defaultMeters = 20
	defaultDays   = 14
	maxMeters     = 100_000
	defaultZone   = "Europe/Zurich"
	// simulatedResolution is what the simulated homes' meters read by.
	simulatedResolution = wattveil.Resolution(900)
)

func newDemo() *cobra.Command {
	var d demo
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run meters, collectors, a utility and a TTP here, up to verified bills",
		Long: `Run the whole platform in this process: meters, collectors, a utility and a
TTP, each with its own folder, keys and certificate authority, connected over
loopback by MQTT 5 and mutual TLS 1.3. Households register, exchange keys with
the TTP, send their readings, and get a signed bill each, which is then checked
as a consumer would check it.

Households are simulated, or real ones from --readings: a CSV file whose first
column is the local start of the interval and every other column a home, in kWh
per interval with at most three decimals, negative for export. The resolution is
found from the file. A backward clock change is told by a repeated hour, of
which the file has the second.

Without --headless the meters go on afterwards until Ctrl-C.`,
		Example: `  wattveil demo
  wattveil demo --headless --meters 50 --days 30 --loss 0.1 --report report.json
  wattveil demo --headless --readings homes.csv --tz Europe/Zurich --columns H1,H2
  wattveil demo --headless --readings homes.csv --tariff tou.json --bill-from 2018-11-01 --bill-to 2018-12-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out, d.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return d.run(ctx)
		},
	}
	f := cmd.Flags()
	f.IntVar(&d.meters, "meters", 0, fmt.Sprintf("`number` of households (default %d, or all columns of --readings)", defaultMeters))
	f.IntVar(&d.days, "days", 0, fmt.Sprintf("`number` of days (default %d, or all of --readings)", defaultDays))
	f.StringVar(&d.readings, "readings", "", "wide CSV `file` of real homes")
	f.StringVar(&d.zone, "tz", defaultZone, "time `zone` of --readings and of the built-in tariff")
	f.StringSliceVar(&d.columns, "columns", nil, "`names` of the columns to take from --readings")
	f.StringVar(&d.tariffFile, "tariff", "", "tariff `file` in JSON (default: a built-in one with three bands in CHF)")
	f.StringVar(&d.billFrom, "bill-from", "", "first local `date` on the bills (default: the start)")
	f.StringVar(&d.billTo, "bill-to", "", "local `date` at which the bills end, exclusive (default: the end)")
	f.Float64Var(&d.loss, "loss", 0, "`share` of messages that are lost, repeated or reordered, 0 to 0.5")
	f.IntVar(&d.collectors, "collectors", 2, "`number` of collectors")
	f.StringVar(&d.dir, "data", "", "`folder` for the parties' folders (default: a temporary one)")
	f.Uint64Var(&d.seed, "seed", 1, "`seed` of simulated homes and of --loss; keys are always random")
	f.StringVar(&d.report, "report", "", "`file` to write a report in JSON to")
	f.BoolVar(&d.headless, "headless", false, "end when the bills are done")
	f.BoolVar(&d.verbose, "verbose", false, "show what the parties log")
	return cmd
}

// homes are the households of a demo and the time that they cover.
type homes struct {
	households []grid.Household
	resolution wattveil.Resolution
	start, end int64
	live       bool // simulated: goes on at the wall clock's time
}

func (d *demo) run(ctx context.Context) error {
	zone, err := tariff.LoadZone(d.zone)
	if err != nil {
		return fmt.Errorf("--tz: %w", err)
	}
	if err := d.check(); err != nil {
		return err
	}
	terms, err := d.tariff()
	if err != nil {
		return err
	}
	h, err := d.homes(zone)
	if err != nil {
		return err
	}
	from, to, err := d.billPeriod(h, zone)
	if err != nil {
		return err
	}
	dir, remove, err := d.folder()
	if err != nil {
		return err
	}
	defer remove()
	err = d.play(ctx, dir, h, terms, from, to)
	if ctx.Err() != nil {
		fmt.Fprintln(d.err, "stopped")
		return nil
	}
	return err
}

// check refuses flags that cannot be meant.
func (d *demo) check() error {
	switch {
	case d.meters < 0 || d.meters > maxMeters:
		return fmt.Errorf("--meters %d: want 1 to %d", d.meters, maxMeters)
	case d.days < 0:
		return fmt.Errorf("--days %d: want 1 or more", d.days)
	case d.loss < 0 || d.loss > 0.5 || d.loss != d.loss:
		return fmt.Errorf("--loss %v: want a share from 0 to 0.5", d.loss)
	case d.collectors < 1 || d.collectors > 64:
		return fmt.Errorf("--collectors %d: want 1 to 64", d.collectors)
	case d.readings == "" && len(d.columns) > 0:
		return errors.New("--columns: only with --readings")
	}
	return nil
}

func (d *demo) tariff() (*tariff.Tariff, error) {
	if d.tariffFile == "" {
		return tariff.Builtin(d.zone)
	}
	document, err := os.ReadFile(d.tariffFile)
	if err != nil {
		return nil, fmt.Errorf("--tariff: %w", err)
	}
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("--tariff %s: %w", d.tariffFile, err)
	}
	return t, nil
}

func (d *demo) homes(zone *time.Location) (homes, error) {
	if d.readings != "" {
		return d.realHomes(zone)
	}
	n, days := d.meters, d.days
	if n == 0 {
		n = defaultMeters
	}
	if days == 0 {
		days = defaultDays
	}
	h := homes{resolution: simulatedResolution, live: true}
	h.end = time.Now().Truncate(simulatedResolution.Duration()).Unix()
	h.start = h.end - int64(days)*24*60*60
	for i := range n {
		home := source.NewHousehold(d.seed, i, zone, simulatedResolution)
		h.households = append(h.households, grid.Household{Column: fmt.Sprintf("home-%d", i+1), Load: d.until(home, h, nil)})
	}
	return h, nil
}

func (d *demo) realHomes(zone *time.Location) (homes, error) {
	f, err := os.Open(d.readings)
	if err != nil {
		return homes{}, fmt.Errorf("--readings: %w", err)
	}
	defer func() { _ = f.Close() }()
	csv, err := source.ReadCSV(f, d.readings, source.CSVOptions{Location: zone, Columns: d.columns, Days: d.days})
	if err != nil {
		return homes{}, err
	}
	columns := csv.Columns
	if d.meters > len(columns) {
		return homes{}, fmt.Errorf("--meters %d: %s has %d columns", d.meters, d.readings, len(columns))
	}
	if d.meters > 0 {
		columns = columns[:d.meters]
	}
	h := homes{resolution: csv.Resolution, start: csv.Start, end: csv.End}
	for i, c := range columns {
		after := source.NewHousehold(d.seed, i, zone, csv.Resolution)
		h.households = append(h.households, grid.Household{Column: c, Load: d.until(csv.Load(c), h, after)})
	}
	return h, nil
}

// until ends a load with the run, or goes on with another one after it.
func (d *demo) until(load source.Load, h homes, after source.Load) source.Load {
	switch {
	case d.headless:
		return source.Then(load, h.end, ended{})
	case after != nil:
		return source.Then(load, h.end, after)
	default:
		return load
	}
}

// ended is a load that has none.
type ended struct{}

// Energy implements source.Load.
func (ended) Energy(int64) (imp, exp wattveil.Wh, ok bool) { return 0, 0, false }

// billPeriod is what the bills cover: the whole run, or local dates in it.
func (d *demo) billPeriod(h homes, zone *time.Location) (from, to time.Time, err error) {
	from, to = time.Unix(h.start, 0).In(zone), time.Unix(h.end, 0).In(zone)
	dates := []struct {
		flag, text string
		at         *time.Time
	}{{"--bill-from", d.billFrom, &from}, {"--bill-to", d.billTo, &to}}
	for _, date := range dates {
		if date.text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, date.text, zone)
		if err != nil {
			return from, to, fmt.Errorf("%s %q: want a date such as 2018-11-01", date.flag, date.text)
		}
		if t.Unix() < h.start || t.Unix() > h.end {
			return from, to, fmt.Errorf("%s %s: the readings run from %s to %s", date.flag, date.text,
				time.Unix(h.start, 0).In(zone).Format(time.RFC3339), time.Unix(h.end, 0).In(zone).Format(time.RFC3339))
		}
		*date.at = t
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("--bill-from %s is not before --bill-to %s", from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	return from, to, nil
}

// folder is where the parties' folders go, and what to do with it at the end.
func (d *demo) folder() (string, func(), error) {
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "wattveil-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("temporary folder: %w; name one with --data", err)
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil
	}
	lock, err := folder.Open(d.dir)
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	if len(entries) > 1 { // the lock is one
		_ = lock.Close()
		return "", nil, fmt.Errorf("--data: folder %s is not empty; the demo begins anew each time, so name an empty one", d.dir)
	}
	return d.dir, func() { _ = lock.Close() }, nil
}

// play runs the platform: enrolment, readings, bills, report.
func (d *demo) play(ctx context.Context, dir string, h homes, terms *tariff.Tariff, from, to time.Time) (err error) {
	began := time.Now()
	bar := d.progress(h)
	g, err := grid.Open(ctx, grid.Config{
		Dir: dir, Households: h.households, Resolution: h.resolution, Start: h.start, End: h.end,
		Collectors: d.collectors, Loss: d.loss, Seed: d.seed, Log: d.logger,
		Progress: func(_ grid.Stage, done, _ int64) { _ = bar.Set64(done) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	document, err := terms.MarshalJSON()
	if err != nil {
		return err
	}
	if _, err := g.PutTariff(ctx, document); err != nil {
		return err
	}
	for _, stage := range []func(context.Context) error{g.Ready, g.Play, g.Drain} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	_ = bar.Finish()
	bills, err := g.Bill(ctx, terms.ID(), from, to)
	if err != nil {
		return err
	}
	report, err := g.Report(ctx, bills, time.Since(began))
	if err != nil {
		return err
	}
	d.print(report)
	if err := d.writeReport(report); err != nil {
		return err
	}
	if err := report.Err(); err != nil {
		return err
	}
	if d.headless {
		return nil
	}
	fmt.Fprintln(d.out, "\nThe meters go on. Ctrl-C ends the demo.")
	if h.live {
		g.Clock().Follow()
	} else {
		g.Clock().Run()
	}
	return g.Live(ctx)
}

func (d *demo) progress(h homes) *progressbar.ProgressBar {
	steps := (h.end-h.start)/int64(h.resolution) + 1
	out := d.err
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		out = io.Discard
	}
	return progressbar.NewOptions64(steps,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(fmt.Sprintf("%d meters", len(h.households))),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

func (d *demo) logger(party string) *slog.Logger {
	if !d.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(d.err, nil)).With("party", party)
}

func (d *demo) writeReport(r *grid.Report) error {
	if d.report == "" {
		return nil
	}
	content, err := r.JSON()
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	if err := folder.WriteFile(d.report, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// print shows the bills and what each party knows.
func (d *demo) print(r *grid.Report) {
	var b strings.Builder
	writeBills(&b, r)
	writeKnowledge(&b, r)
	_, _ = io.WriteString(d.out, b.String())
}
