package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/grid"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/tariff"
)

// simulatedResolution is what the simulated homes' meters read by.
const simulatedResolution = wattveil.Resolution(900)

// input is what a demo runs on: the homes, the time that their energy covers,
// and what to bill by which tariff.
type input struct {
	households []grid.Household
	resolution wattveil.Resolution
	start, end int64 // Unix seconds
	simulated  bool

	tariff   *tariff.Tariff
	from, to time.Time // of the bills

	gate gate.Settings
	rule gate.Rule // by which the default limits would refuse the bills
}

// input reads and checks all that a run needs, so that nothing of it is found
// wrong after minutes.
func (d *demo) input() (*input, error) {
	zone, err := tariff.LoadZone(d.zone)
	if err != nil {
		return nil, misusef("--tz: %v; give an IANA name such as %s", err, defaultZone)
	}
	in := &input{}
	if in.tariff, err = d.tariff(); err != nil {
		return nil, err
	}
	if d.readings == "" {
		d.simulate(in, zone)
	} else if err := d.read(in, zone); err != nil {
		return nil, err
	}
	if err := d.period(in, zone); err != nil {
		return nil, err
	}
	if begins := in.tariff.ValidFrom(); in.from.Before(begins) {
		name := "--tariff " + d.tariffFile
		if d.tariffFile == "" {
			name = "built-in tariff"
		}
		return nil, fmt.Errorf("%s: valid from %s, and the bills begin at %s; give a --bill-from that is not earlier, or another tariff",
			name, begins.Format(time.RFC3339), in.from.Format(time.RFC3339))
	}
	if in.gate, in.rule, err = in.limits(); err != nil {
		return nil, fmt.Errorf("tariff %s: %w", in.tariff.ID(), err)
	}
	return in, nil
}

func (d *demo) tariff() (*tariff.Tariff, error) {
	if d.tariffFile == "" {
		return tariff.Builtin(d.zone)
	}
	document, err := readInput(os.Stdin, d.tariffFile)
	if err != nil {
		return nil, fmt.Errorf("--tariff: %w", err)
	}
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("--tariff %s: %w", d.tariffFile, err)
	}
	return t, nil
}

// simulate makes homes whose last interval ends now.
func (d *demo) simulate(in *input, zone *time.Location) {
	n, days := d.meters, d.days
	if n == 0 {
		n = defaultMeters
	}
	if days == 0 {
		days = defaultDays
	}
	in.simulated, in.resolution = true, simulatedResolution
	in.end = time.Now().Truncate(simulatedResolution.Duration()).Unix()
	in.start = in.end - int64(days)*24*60*60
	for i := range n {
		var load source.Load = source.NewHousehold(d.seed, i, zone, simulatedResolution)
		if d.headless {
			load = source.Then(load, in.end, ended{})
		}
		in.households = append(in.households, grid.Household{Column: fmt.Sprintf("home-%d", i+1), Load: load})
	}
}

// read takes homes from a file. If the demo goes on after it, simulated homes
// take their places.
func (d *demo) read(in *input, zone *time.Location) error {
	f, err := os.Open(d.readings)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--readings: there is no file %s", d.readings)
	}
	if err != nil {
		return fmt.Errorf("--readings: %w", err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("--readings: %s is a folder; name a CSV file", d.readings)
	}
	csv, err := source.ReadCSV(f, d.readings, source.CSVOptions{Location: zone, Columns: d.columns, Days: d.days})
	if err != nil {
		return err
	}
	columns := csv.Columns
	if d.meters > len(columns) {
		return fmt.Errorf("--meters %d: there are %d columns; ask for no more, or leave the flag out for all", d.meters, len(columns))
	}
	if d.meters > 0 {
		columns = columns[:d.meters]
	}
	in.resolution, in.start, in.end = csv.Resolution, csv.Start, csv.End
	for i, c := range columns {
		var after source.Load = ended{}
		if !d.headless {
			after = source.NewHousehold(d.seed, i, zone, csv.Resolution)
		}
		in.households = append(in.households, grid.Household{Column: c, Load: source.Then(csv.Load(c), in.end, after)})
	}
	return nil
}

// ended is a load that has none.
type ended struct{}

// Energy implements source.Load.
func (ended) Energy(int64) (imp, exp wattveil.Wh, ok bool) { return 0, 0, false }

// period finds what the bills cover: the whole run, or local dates in it.
func (d *demo) period(in *input, zone *time.Location) (err error) {
	in.from, in.to = time.Unix(in.start, 0).In(zone), time.Unix(in.end, 0).In(zone)
	if d.given("bill-from") {
		if in.from, err = in.midnight("--bill-from", d.billFrom, zone); err != nil {
			return err
		}
	}
	if d.given("bill-to") {
		if in.to, err = in.midnight("--bill-to", d.billTo, zone); err != nil {
			return err
		}
	}
	if !in.from.Before(in.to) {
		return fmt.Errorf("the bills would begin at %s and end at %s; give an earlier --bill-from or a later --bill-to",
			in.from.Format(time.RFC3339), in.to.Format(time.RFC3339))
	}
	return nil
}

// midnight is the beginning of a local day, which must be a time of a reading.
func (in *input) midnight(flag, date string, zone *time.Location) (time.Time, error) {
	local := func(second int64) string { return time.Unix(second, 0).In(zone).Format(time.RFC3339) }
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}, misusef("%s %q: want a date such as %.10s", flag, date, local(in.start))
	}
	t := startOfDay(d, zone)
	if at := t.Unix(); at < in.start || at > in.end {
		return time.Time{}, fmt.Errorf("%s %s: begins at %s, outside the readings from %s to %s; give a date between",
			flag, date, local(at), local(in.start), local(in.end))
	}
	if off := (t.Unix() - in.start) % int64(in.resolution); off != 0 {
		return time.Time{}, fmt.Errorf("%s %s: no interval begins at %s, one does at %s; leave the flag out, or shift the readings",
			flag, date, local(t.Unix()), local(t.Unix()-off))
	}
	return t, nil
}

// startOfDay is the first instant at which clocks in a zone show a date: its
// midnight, or what a clock change has put in that place. date is midnight UTC.
func startOfDay(date time.Time, zone *time.Location) time.Time {
	const farthest = 26 * time.Hour // more than any zone is from UTC
	for t := date.Add(-farthest).In(zone); ; {
		_, offset := t.Zone()
		begins, ends := t.ZoneBounds() // of this offset
		midnight := date.Add(-time.Duration(offset) * time.Second).In(zone)
		if midnight.Before(begins) {
			midnight = begins
		}
		if ends.IsZero() || midnight.Before(ends) {
			return midnight
		}
		t = ends
	}
}
