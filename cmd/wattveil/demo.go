package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wattveil/wattveil/internal/grid"
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
	portalAddr string
	verbose    bool

	given    func(flag string) bool // on the command line
	out, err io.Writer
}

const (
	defaultMeters = 20
	defaultDays   = 14
	defaultZone   = "Europe/Zurich"
	maxMeters     = 100_000
	maxDays       = 3660 // of simulated homes
	maxLoss       = 0.5
	maxCollectors = 64
	// poolWindow is how long the utility waits for a collector's post. On one
	// machine they come together, or were lost on purpose.
	poolWindow = 250 * time.Millisecond
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

Households are simulated up to the present, or real ones from --readings: a CSV
file whose first column is the local start of the interval and every other
column a home, in kWh per interval with at most three decimals, negative for
export. The resolution is found from the file. Where clocks go back, the file has
the rows of the repeated hour twice; the hour that clocks skip is no gap.

--tz is the zone of the file's clock, of --bill-from and --bill-to, and of the
built-in tariff. A tariff from --tariff prices by its own zone, which the bills
show.

Bills go through the disclosure gate as at any TTP. Where its default limits would
refuse all of them, as for a few hours, the demo opens the gate and says so.

The parties' folders are made in --data, which must be empty, and stay there; a
temporary folder is removed at the end. --report is for whoever runs the demo, as it puts names,
pseudonyms and energy side by side: it belongs in no party's folder.

Without --headless the meters go on after the bills, simulated homes at the
present time and real ones from the end of their file, until Ctrl-C. Meanwhile
the consumer's portal is served on --portal-addr, for browsers of this machine:
claim a home with the code that is printed for it, which is in the report too.
With --headless the same is done only if --portal-addr is given.

The exit code is 0 if every bill is verified and nothing is lost, 130 if Ctrl-C
came before that, and 1 otherwise.`,
		Example: `  wattveil demo
  wattveil demo --portal-addr localhost:8099
  wattveil demo --headless --meters 50 --days 30 --loss 0.1 --report report.json
  wattveil demo --headless --readings homes.csv --tz Europe/Zurich --columns H1,H2
  wattveil demo --headless --readings homes.csv --tariff tou.json --bill-from 2018-11-01 --bill-to 2018-12-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.given = cmd.Flags().Changed
			d.out, d.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.runUntilSignal(cmd.Context())
		},
	}
	d.flags(cmd.Flags())
	return cmd
}

func (d *demo) flags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.IntVar(&d.meters, "meters", 0, fmt.Sprintf("`number` of households (default %d, or all columns of --readings)", defaultMeters))
	f.IntVar(&d.days, "days", 0, fmt.Sprintf("`number` of days of 24 hours (default %d, or all of --readings)", defaultDays))
	f.StringVar(&d.readings, "readings", "", "wide CSV `file` of real homes")
	f.StringVar(&d.zone, "tz", defaultZone, "time `zone` of --readings, of dates and of the built-in tariff")
	f.StringSliceVar(&d.columns, "columns", nil, "`names` of the columns to take from --readings")
	f.StringVar(&d.tariffFile, "tariff", "", "tariff `file` in JSON (default: a built-in one with three bands in CHF)")
	f.StringVar(&d.billFrom, "bill-from", "", "first local `date` on the bills (default: the start)")
	f.StringVar(&d.billTo, "bill-to", "", "local `date` at which the bills end, exclusive (default: the end)")
	f.Float64Var(&d.loss, "loss", 0, "`share` of messages that are lost, repeated or reordered, 0 to 0.5")
	f.IntVar(&d.collectors, "collectors", 2, "`number` of collectors")
	f.StringVar(&d.dir, "data", "", "`folder` for the parties' folders, made if missing (default: a temporary one)")
	f.Uint64Var(&d.seed, "seed", 1, "`seed` of simulated homes and of --loss; keys are always random")
	f.StringVar(&d.report, "report", "", "`file` to write a report in JSON to")
	f.BoolVar(&d.headless, "headless", false, "end when the bills are done, and serve no portal unless --portal-addr is given")
	f.StringVar(&d.portalAddr, "portal-addr", defaultPortal, "`address` of the consumer's portal")
	f.BoolVar(&d.verbose, "verbose", false, "show what the parties log")
}

// flagError says what a flag takes, rather than which function refused it.
func flagError(cmd *cobra.Command, err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	}
	want := "another value; see " + cmd.CommandPath() + " --help"
	switch invalid.GetFlag().Value.Type() {
	case "int":
		want = "a whole number"
	case "uint64":
		want = "a whole number, 0 or more"
	case "float64":
		want = "a number such as 0.1"
	case "bool":
		want = "true or false, or the flag alone"
	}
	return misusef("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}

// errStopped is how a demo ends that a signal stopped before its bills.
var errStopped = errors.New("stopped before the bills were done; there is no report")

// runUntilSignal ends the demo cleanly on Ctrl-C, on a request to terminate and
// when its terminal goes away. A second Ctrl-C ends it at once.
func (d *demo) runUntilSignal(ctx context.Context) error {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	defer stop()
	context.AfterFunc(ctx, stop)
	// A reader of the output that has left is an error, and no reason to leave
	// folders behind.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	return d.run(ctx)
}

func (d *demo) run(ctx context.Context) error {
	if err := d.check(); err != nil {
		return err
	}
	in, err := d.input()
	if err != nil {
		return err
	}
	dir, remove, err := d.folder()
	if err != nil {
		return err
	}
	defer remove()
	if err := d.checkReport(dir); err != nil {
		return err
	}
	l, err := d.listenForPortal()
	if err != nil {
		return err
	}
	err = d.play(ctx, dir, in, l)
	if err != nil && ctx.Err() != nil {
		return errStopped
	}
	return err
}

// check refuses flags that cannot be meant. With --readings 0 meters or days
// are all of the file's.
func (d *demo) check() error {
	for flag, name := range map[string]string{"readings": d.readings, "tariff": d.tariffFile, "data": d.dir, "report": d.report, "portal-addr": d.portalAddr} {
		if d.given(flag) && name == "" {
			return misusef("--%s: want a name; leave the flag out for the default", flag)
		}
	}
	least := 1
	if d.readings != "" {
		least = 0
	}
	switch {
	case d.given("meters") && (d.meters < least || d.meters > maxMeters):
		return misusef("--meters %d: want %d to %d", d.meters, 1, maxMeters)
	case d.given("days") && d.days < least:
		return misusef("--days %d: want 1 or more", d.days)
	case d.readings == "" && d.days > maxDays:
		return misusef("--days %d: want 1 to %d for simulated homes", d.days, maxDays)
	case d.loss < 0 || d.loss > maxLoss || d.loss != d.loss:
		return misusef("--loss %v: want a share from 0 to %v", d.loss, maxLoss)
	case d.collectors < 1 || d.collectors > maxCollectors:
		return misusef("--collectors %d: want 1 to %d", d.collectors, maxCollectors)
	case d.given("columns") && d.readings == "":
		return misuse("--columns: simulated homes have none; give --readings too, or --meters instead")
	case d.given("columns") && len(d.columns) == 0:
		return misuse("--columns: names no column; leave the flag out for all")
	}
	if err := address("--portal-addr", d.portalAddr); err != nil {
		return misuse(err.Error())
	}
	return nil
}

// play runs the platform: enrolment, readings, bills, report. It closes the
// portal's listener, which is nil if there is no portal.
func (d *demo) play(ctx context.Context, dir string, in *input, l net.Listener) (err error) {
	if l != nil {
		defer func() { _ = l.Close() }() // the portal has closed it, if it came that far
	}
	began := time.Now()
	shown := newProgress(d.err)
	defer shown.end()
	g, err := grid.Open(ctx, grid.Config{
		Dir: dir, Households: in.households, Resolution: in.resolution, Start: in.start, End: in.end,
		Collectors: d.collectors, Loss: d.loss, Seed: d.seed, PoolWindow: poolWindow, Gate: in.gate,
		Log: d.logger, Progress: shown.at,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	bills, err := d.bills(ctx, g, in, shown)
	if err != nil {
		return err
	}
	report, err := g.Report(ctx, bills, time.Since(began))
	if err != nil {
		return err
	}
	stop, err := openPortal(g, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	shown.end()
	if err := errors.Join(d.writeReport(report), d.print(report, in), report.Err(), d.printClaims(l, report.Claims)); err != nil {
		return err
	}
	if l == nil {
		return nil
	}
	return d.live(ctx, g, in)
}

// bills brings the platform from registration to bills.
func (d *demo) bills(ctx context.Context, g *grid.Grid, in *input, shown *progress) ([]grid.BillReport, error) {
	document, err := in.tariff.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if _, err := g.PutTariff(ctx, document); err != nil {
		return nil, err
	}
	for _, stage := range []func(context.Context) error{g.Ready, g.Play, g.Drain} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	shown.at(billing, 0, int64(len(in.households)))
	return g.Bill(ctx, in.tariff.ID(), in.from, in.to)
}

// live lets the meters go on until ctx ends.
func (d *demo) live(ctx context.Context, g *grid.Grid, in *input) error {
	before := g.ReadingsSent()
	fmt.Fprintln(d.out, "\nThe meters go on. Ctrl-C ends the demo.")
	if in.simulated {
		g.Clock().Follow()
	} else {
		g.Clock().Run()
	}
	err := g.Live(ctx)
	fmt.Fprintf(d.out, "Stopped. The meters have sent %d more readings.\n", g.ReadingsSent()-before)
	return err
}

func (d *demo) logger(party string) *slog.Logger {
	if !d.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(d.err, nil)).With("party", party)
}
