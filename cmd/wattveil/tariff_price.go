package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
)

// priceTariffs is the command `wattveil tariff price`.
type priceTariffs struct {
	readings string
	zone     string
	columns  []string
	from, to string
	series   []string
	lines    bool
	json     bool
}

func newTariffPrice() *cobra.Command {
	var c priceTariffs
	cmd := &cobra.Command{
		Use:   "price FILE... --readings CSV",
		Short: "Price readings: what would I pay, month by month",
		Long: `Price the readings of homes by one or several tariffs, month by month.

--readings is a CSV file whose first column is the local start of the interval
and every other column a home, in kWh per interval, negative for export. Values
finer than a Wh are rounded on the running sum of their column, as a register
does.

Each FILE is a tariff. Those that replace one another are priced as one: each
day by the version in force. Otherwise a tariff is priced for all readings,
also from before or after it is valid, so that tariffs can be compared; a note
says so. Months are those of the tariff's time zone.

Tariffs with prices by the hour need the price series that they name: give its
files with --series.`,
		Example: `  wattveil tariff price tou.json --readings homes.csv --tz Europe/Zurich
  wattveil tariff price flat.json tou.json --readings homes.csv --columns H1 --from 2018-11-01 --to 2018-12-01
  wattveil tariff price dynamic.json --series prices.json --readings homes.csv --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("want one FILE or more, each with a tariff")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.InOrStdin(), cmd.OutOrStdout(), args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.readings, "readings", "", "wide CSV `file` of homes")
	f.StringVar(&c.zone, "tz", defaultZone, "time `zone` of the readings' clock")
	f.StringSliceVar(&c.columns, "columns", nil, "`names` of the columns to price (default: all)")
	f.StringVar(&c.from, "from", "", "first local `date` (default: the start of the readings)")
	f.StringVar(&c.to, "to", "", "local `date` at which to end, exclusive (default: the end of the readings)")
	f.StringSliceVar(&c.series, "series", nil, "`files` with price series")
	f.BoolVar(&c.lines, "lines", false, "print the lines of each month")
	f.BoolVar(&c.json, "json", false, "print months and lines as JSON")
	return cmd
}

// priced is what one tariff, or one chain of versions, comes to for one home.
type priced struct {
	Tariff    string        `json:"tariff"` // id; of versions, the last one's
	Digest    string        `json:"digest"`
	Column    string        `json:"column"`
	Currency  string        `json:"currency"`
	Timezone  string        `json:"timezone"`
	Months    []pricedMonth `json:"months"`
	ImportKWh string        `json:"import_kwh"`
	ExportKWh string        `json:"export_kwh"`
	Total     string        `json:"total"`
	Notes     []string      `json:"notes,omitempty"`
}

// pricedMonth is a month, or a part of one.
type pricedMonth struct {
	Month     string      `json:"month"`
	From      string      `json:"from"`
	To        string      `json:"to"`
	Tariff    string      `json:"tariff"`
	ImportKWh string      `json:"import_kwh"`
	ExportKWh string      `json:"export_kwh"`
	Lines     []bill.Line `json:"lines"`
	Total     string      `json:"total"`
}

func (c priceTariffs) run(stdin io.Reader, stdout io.Writer, files []string) error {
	zone, err := tariff.LoadZone(c.zone)
	if err != nil {
		return misusef("--tz: %v", err)
	}
	if c.readings == "" {
		return misuse("--readings is missing: give a CSV file of homes")
	}
	groups, err := c.tariffs(stdin, files)
	if err != nil {
		return err
	}
	series, err := readSeries(stdin, c.series)
	if err != nil {
		return err
	}
	homes, err := c.homes(zone)
	if err != nil {
		return err
	}
	var results []priced
	for _, g := range groups {
		for _, column := range homes.Columns {
			p := pricer{group: g, homes: homes, series: series, column: column}
			out, err := p.price(c.from, c.to)
			if err != nil {
				return fmt.Errorf("tariff %s, column %s: %w", g.last().ID(), column, err)
			}
			results = append(results, out)
		}
	}
	if c.json {
		return encodeJSON(stdout, results)
	}
	return writePriced(stdout, results, homes.Columns, c.lines)
}

func (c priceTariffs) homes(zone *time.Location) (*source.CSV, error) {
	f, err := os.Open(c.readings)
	if err != nil {
		return nil, fmt.Errorf("--readings: %w", err)
	}
	defer func() { _ = f.Close() }()
	return source.ReadCSV(f, c.readings, source.CSVOptions{Location: zone, Columns: c.columns, Fine: true})
}

// A pricedGroup is a tariff or a chain of versions, and what is to be said
// about pricing it.
type pricedGroup struct {
	versions tariff.Versions // as given, by rising start
	free     tariff.Versions // the same, from and to which day they are valid laid aside
	notes    []string
}

func (g pricedGroup) last() *tariff.Tariff { return g.versions[len(g.versions)-1] }

// tariffs reads the tariffs and puts versions together.
func (c priceTariffs) tariffs(stdin io.Reader, files []string) ([]pricedGroup, error) {
	var all []*tariff.Tariff
	for _, file := range files {
		data, err := readLimited(stdin, file, maxTariffInput)
		if err != nil {
			return nil, fmt.Errorf("read tariff: %w", err)
		}
		t, err := tariff.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, t)
	}
	chains, err := tariff.Group(all)
	if err != nil {
		return nil, err
	}
	var groups []pricedGroup
	for _, versions := range chains {
		g := pricedGroup{versions: versions}
		for _, t := range versions {
			free, note, err := unbound(t, c.zone)
			if err != nil {
				return nil, err
			}
			if note != "" && !slices.Contains(g.notes, note) {
				g.notes = append(g.notes, note)
			}
			g.free = append(g.free, free)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// unbound is a tariff that prices any time. One whose time zone stands in for
// an unknown one gets the readings'.
func unbound(t *tariff.Tariff, zone string) (free *tariff.Tariff, note string, err error) {
	const standIn = "timezone" // the member that import-urdb notes
	doc := t.Document()
	doc.ValidFrom, doc.ValidTo = "1900-01-01", ""
	if slices.ContainsFunc(doc.Notes, func(n tariff.Note) bool { return n.Member == standIn }) {
		doc.Timezone = zone
		note = fmt.Sprintf("the tariff names no time zone: it is priced on the clock of %s", zone)
	}
	free, err = tariff.New(doc)
	return free, note, err
}

// A pricer prices one home by one group.
type pricer struct {
	group  pricedGroup
	homes  *source.CSV
	series []*tariff.Series
	column string
	peaks  []rating.Peak
	early  bool // readings from before the tariff
	late   bool // and from after it
}

// price prices month by month, between two local dates.
func (p *pricer) price(fromDate, toDate string) (priced, error) {
	last := p.group.last()
	zone := p.group.free[0].Zone()
	out := priced{
		Tariff: last.ID(), Digest: last.Digest().String(), Column: p.column, Currency: last.Currency().String(),
		Timezone: zone.String(), Notes: slices.Clone(p.group.notes),
	}
	from, to, err := p.period(zone, fromDate, toDate)
	if err != nil {
		return out, err
	}
	total, imported, exported := last.Currency().Zero(), tariff.NewDecimal(0, 3), tariff.NewDecimal(0, 3)
	for from.Before(to) {
		y, m, _ := from.Date()
		end := time.Date(y, m+1, 1, 0, 0, 0, 0, zone)
		if end.After(to) {
			end = to
		}
		for _, piece := range p.group.versions.Split(from, end) {
			month, rated, err := p.month(piece)
			if err != nil {
				return out, err
			}
			out.Months = append(out.Months, month)
			amount, err := tariff.ParseDecimal(rated.Total)
			if err != nil {
				return out, err
			}
			total = total.Add(amount)
			imported = imported.Add(tariff.NewDecimal(int64(rated.ImportWh), 3))
			exported = exported.Add(tariff.NewDecimal(int64(rated.ExportWh), 3))
		}
		from = end
	}
	out.Total, out.ImportKWh, out.ExportKWh = total.String(), imported.String(), exported.String()
	p.say(&out)
	return out, nil
}

// say adds the notes that pricing has brought up.
func (p *pricer) say(out *priced) {
	first, last := p.group.versions[0], p.group.last()
	if p.early {
		out.Notes = append(out.Notes, fmt.Sprintf("tariff %s is valid from %s: earlier readings are priced by it all the same",
			first.ID(), first.Document().ValidFrom))
	}
	if p.late {
		out.Notes = append(out.Notes, fmt.Sprintf("tariff %s is valid to %s: later readings are priced by it all the same",
			last.ID(), last.Document().ValidTo))
	}
	if p.homes.Rounded > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d values of the readings are finer than a Wh: the running sum of each column was rounded to Wh", p.homes.Rounded))
	}
	for _, t := range p.group.versions {
		for _, n := range t.Document().Notes {
			out.Notes = append(out.Notes, fmt.Sprintf("tariff %s: %s: %s", t.ID(), n.Member, n.Text))
		}
	}
}

// period is what the dates and the readings have in common.
func (p *pricer) period(zone *time.Location, fromDate, toDate string) (from, to time.Time, err error) {
	from, to = time.Unix(p.homes.Start, 0).In(zone), time.Unix(p.homes.End, 0).In(zone)
	start, end := from, to
	for _, d := range []struct {
		flag, text string
		at         *time.Time
	}{{"--from", fromDate, &from}, {"--to", toDate, &to}} {
		if d.text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, d.text, zone)
		if err != nil {
			return from, to, fmt.Errorf("%s %q: want a date such as 2018-11-01", d.flag, d.text)
		}
		if t.Before(start) || t.After(end) {
			return from, to, fmt.Errorf("%s %s: the readings run from %s to %s", d.flag, d.text, start.Format(time.RFC3339), end.Format(time.RFC3339))
		}
		*d.at = t
	}
	if !from.Before(to) {
		return from, to, misusef("--from %s is not before --to %s", from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	return from, to, nil
}

// month prices a month, or the part of it that one version has.
func (p *pricer) month(piece tariff.Piece) (pricedMonth, rating.Rated, error) {
	terms := p.version(piece)
	rated, err := rating.Request{
		Tariff: terms, Intervals: p.intervals(piece.From, piece.To), From: piece.From, To: piece.To,
		Resolution: p.homes.Resolution, Series: p.series, Peaks: p.peaks,
	}.Rate()
	if err != nil {
		return pricedMonth{}, rated, err
	}
	p.peaks = append(p.peaks, rated.Peaks...)
	zone := terms.Zone()
	month := pricedMonth{
		Month: piece.From.In(zone).Format("2006-01"), Tariff: terms.ID(),
		From: bill.Time(piece.From, zone), To: bill.Time(piece.To, zone),
		ImportKWh: rated.ImportKWh(), ExportKWh: rated.ExportKWh(), Total: rated.Total,
	}
	for _, l := range rated.Lines {
		month.Lines = append(month.Lines, bill.Line(l))
	}
	return month, rated, nil
}

// version is the one that prices a piece, and the nearest one where none does.
func (p *pricer) version(piece tariff.Piece) *tariff.Tariff {
	i := slices.Index(p.group.versions, piece.Tariff)
	switch {
	case i >= 0:
	case piece.From.Before(p.group.versions[0].ValidFrom()):
		p.early = true
		i = 0
	default:
		p.late = true
		// The last one that has begun.
		for i = len(p.group.versions) - 1; i > 0 && p.group.versions[i].ValidFrom().After(piece.From); i-- {
		}
	}
	return p.group.free[i]
}

// intervals are those that start in a period.
func (p *pricer) intervals(from, to time.Time) []wattveil.Interval {
	load, step := p.homes.Load(p.column), int64(p.homes.Resolution)
	first := from.Unix() - (from.Unix()-p.homes.Start)%step
	var list []wattveil.Interval
	for at := first; at < to.Unix(); at += step {
		imported, exported, ok := load.Energy(at)
		if !ok {
			break
		}
		list = append(list, wattveil.Interval{Start: at, End: at + step, Import: imported, Export: exported})
	}
	return list
}
