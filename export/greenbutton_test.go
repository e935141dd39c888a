package export_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/export"
	"github.com/wattveil/wattveil/internal/realinput"
	"github.com/wattveil/wattveil/tariff"
)

var uuids = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// feed is Green Button as somebody reads it who knows nothing of package
// export: entries are joined by their links.
type feed struct {
	Entries []entry `xml:"http://www.w3.org/2005/Atom entry"`
}

type entry struct {
	Links []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"link"`
	Content struct {
		Point   *struct{}    `xml:"http://naesb.org/espi UsagePoint"`
		Meter   *struct{}    `xml:"http://naesb.org/espi MeterReading"`
		Type    *readingType `xml:"http://naesb.org/espi ReadingType"`
		Block   *block       `xml:"http://naesb.org/espi IntervalBlock"`
		Summary *summary     `xml:"http://naesb.org/espi UsageSummary"`
		Local   *localTime   `xml:"http://naesb.org/espi LocalTimeParameters"`
	} `xml:"content"`
}

type readingType struct {
	Currency  int `xml:"currency"`
	Direction int `xml:"flowDirection"`
	Length    int `xml:"intervalLength"`
	Unit      int `xml:"uom"`
	Power     int `xml:"powerOfTenMultiplier"`
	Quality   int `xml:"defaultQuality"`
}

type gbSpan struct {
	Duration int64 `xml:"duration"`
	Start    int64 `xml:"start"`
}

type block struct {
	Interval gbSpan `xml:"interval"`
	Readings []struct {
		Cost    *int64 `xml:"cost"`
		Quality *int   `xml:"ReadingQuality>quality"`
		Period  gbSpan `xml:"timePeriod"`
		Value   int64  `xml:"value"`
	} `xml:"IntervalReading"`
}

type summary struct {
	Period   gbSpan `xml:"billingPeriod"`
	Bill     *int64 `xml:"billLastPeriod"`
	Overall  *int64 `xml:"overallConsumptionLastPeriod>value"`
	Currency int    `xml:"currency"`
	Items    []struct {
		Amount int64 `xml:"amount"`
		Kind   int   `xml:"itemKind"`
	} `xml:"costAdditionalDetailLastPeriod"`
}

type localTime struct {
	End    string `xml:"dstEndRule"`
	Offset int64  `xml:"dstOffset"`
	Start  string `xml:"dstStartRule"`
	Zone   int64  `xml:"tzOffset"`
}

func (e *entry) links(rel string) (list []string) {
	for _, l := range e.Links {
		if l.Rel == rel {
			list = append(list, l.Href)
		}
	}
	return list
}

// gbReading is a reading of one direction.
type gbReading struct {
	start, end, wh int64
	quality        int
	cost           *int64
}

// readGreenButton gives the readings by flow direction.
func readGreenButton(t *testing.T, content []byte) (map[int][]gbReading, feed) {
	t.Helper()
	var f feed
	must(t, xml.Unmarshal(content, &f))
	types := make(map[string]*readingType)
	for _, e := range f.Entries {
		if e.Content.Type != nil {
			types[e.links("self")[0]] = e.Content.Type
		}
	}
	direction := make(map[string]*readingType) // by link of the blocks
	for _, e := range f.Entries {
		if e.Content.Meter == nil {
			continue
		}
		for _, to := range e.links("related") {
			if kind := types[to]; kind != nil {
				direction[e.links("self")[0]+"/IntervalBlock"] = kind
			}
		}
	}
	out := make(map[int][]gbReading)
	for _, e := range f.Entries {
		b := e.Content.Block
		if b == nil {
			continue
		}
		kind := direction[e.links("up")[0]]
		if kind == nil || kind.Unit != 72 || kind.Power != 0 {
			t.Fatalf("a block belongs to no reading in Wh: %v", e.links("up"))
		}
		for _, r := range b.Readings {
			if r.Period.Start < b.Interval.Start || r.Period.Start+r.Period.Duration > b.Interval.Start+b.Interval.Duration {
				t.Fatal("a reading is outside of its block")
			}
			quality := kind.Quality
			if r.Quality != nil {
				quality = *r.Quality
			}
			out[kind.Direction] = append(out[kind.Direction], gbReading{r.Period.Start, r.Period.Start + r.Period.Duration, r.Value, quality, r.Cost})
		}
	}
	return out, f
}

// validate holds a file to the schema of ESPI.
func validate(t *testing.T, content []byte) {
	t.Helper()
	schema := realinput.Path(t, "green-button/openespi-apache2/usage.xsd")
	lint, err := exec.LookPath("xmllint")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("xmllint is not installed")
	}
	must(t, err)
	path := filepath.Join(t.TempDir(), "export.xml")
	must(t, os.WriteFile(path, content, 0o600))
	if said, err := exec.Command(lint, "--noout", "--nonet", "--schema", schema, path).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%.2000s", err, said)
	}
}

func TestGreenButtonReadsBack(t *testing.T) {
	z, periods := springAndAutumn(t)
	intervals := []int{}
	for _, p := range periods {
		h, list := home(t, z, p[0], p[1])
		content := write(t, export.FormatGreenButton, h, list)
		validate(t, content)
		got, f := readGreenButton(t, content)
		want := map[int][]gbReading{}
		var imported int64
		for _, i := range list {
			one := gbReading{start: i.Start, end: i.End, wh: int64(i.Import), quality: int(i.Quality)}
			other := gbReading{start: i.Start, end: i.End, wh: int64(i.Export), quality: int(i.Quality)}
			if i.Costed {
				one.cost, other.cost = hundredThousandths(i.ImportCost), hundredThousandths(i.ExportCost)
			}
			want[1], want[19] = append(want[1], one), append(want[19], other)
			imported += int64(i.Import)
		}
		for direction := range want {
			if text(got[direction]) != text(want[direction]) {
				t.Errorf("direction %d reads back as something else", direction)
			}
		}
		if len(got) != 2 {
			t.Errorf("%d directions", len(got))
		}
		negative := slices.ContainsFunc(got[1], func(r gbReading) bool { return r.cost != nil && *r.cost < 0 })
		credit := slices.ContainsFunc(got[19], func(r gbReading) bool { return r.cost != nil && *r.cost < 0 })
		if !negative || !credit {
			t.Error("no negative cost came back: this looks at nothing")
		}
		blocks := 0
		for _, e := range f.Entries {
			if e.Content.Block != nil {
				blocks++
			}
			if s := e.Content.Summary; s != nil && (s.Bill != nil || s.Overall == nil || *s.Overall != imported || s.Period.Start != p[0].Unix() || s.Period.Duration != p[1].Unix()-p[0].Unix() || s.Currency != 756 || len(s.Items) != 0) {
				t.Errorf("the summary says %+v", *s)
			}
		}
		if blocks != 6 {
			t.Errorf("%d blocks for 3 days of two directions", blocks)
		}
		intervals = append(intervals, int(p[1].Sub(p[0])/(quarter*time.Second)))
	}
	if intervals[0] != 71*4 || intervals[1] != 73*4 {
		t.Errorf("the days have %v intervals: clocks do not change in them", intervals)
	}
}

func hundredThousandths(d tariff.Decimal) *int64 {
	f, _ := tariff.RoundRat(d.Rat(), 5).Rat().Float64()
	n := int64(f*100_000 + map[bool]float64{true: 0.5, false: -0.5}[f > 0])
	return &n
}

func text(list []gbReading) string {
	var b strings.Builder
	for _, r := range list {
		cost := "none"
		if r.cost != nil {
			cost = fmt.Sprint(*r.cost)
		}
		fmt.Fprintln(&b, r.start, r.end, r.wh, r.quality, cost)
	}
	return b.String()
}

// TestGreenButtonSums: where all energy has a cost, the summary has the sums.
func TestGreenButtonSums(t *testing.T) {
	z, periods := springAndAutumn(t)
	h, list := home(t, z, periods[0][0], periods[0][1])
	list = slices.DeleteFunc(list, func(i consumer.Interval) bool { return !i.Costed })
	var costs [2]tariff.Decimal
	for _, i := range list {
		costs[0], costs[1] = costs[0].Add(i.ImportCost), costs[1].Add(i.ExportCost)
	}
	content := write(t, export.FormatGreenButton, h, list)
	validate(t, content)
	_, f := readGreenButton(t, content)
	items := f.Entries[len(f.Entries)-1].Content.Summary.Items
	if len(items) != 2 || items[0].Kind != 3 || items[0].Amount != *hundredThousandths(costs[0]) || items[1].Kind != 6 || items[1].Amount != *hundredThousandths(costs[1]) {
		t.Errorf("line items %+v", items)
	}
}

// TestGreenButtonBills: each bill has a summary, and nothing else has.
func TestGreenButtonBills(t *testing.T) {
	z, periods := springAndAutumn(t)
	h, list := home(t, z, periods[0][0], periods[0][1])
	first, second := h.From.AddDate(0, 0, 1), h.From.AddDate(0, 0, 2)
	h.Bills = []export.Bill{
		{From: h.From, To: first, Total: tariff.NewDecimal(4212, 2), Currency: "CHF", Import: tariff.NewDecimal(9007, 3), Told: true},
		{From: first, To: second, Total: tariff.NewDecimal(-150, 2), Currency: "EUR"}, // a credit; the energy is withheld
		{From: second, To: h.To, Total: tariff.NewDecimal(7, 0), Currency: "XAU", Told: true},
	}
	content := write(t, export.FormatGreenButton, h, list)
	validate(t, content)
	_, f := readGreenButton(t, content)
	var got []string
	for _, e := range f.Entries {
		if s := e.Content.Summary; s != nil {
			say := func(n *int64) string {
				if n == nil {
					return "none"
				}
				return fmt.Sprint(*n)
			}
			got = append(got, fmt.Sprintf("%d+%d: bill %s of %d, %s Wh, %d items", s.Period.Start, s.Period.Duration, say(s.Bill), s.Currency, say(s.Overall), len(s.Items)))
		}
	}
	want := []string{
		fmt.Sprintf("%d+%d: bill 4212000 of 756, 9007 Wh, 0 items", h.From.Unix(), first.Unix()-h.From.Unix()),
		fmt.Sprintf("%d+%d: bill -150000 of 978, none Wh, 0 items", first.Unix(), second.Unix()-first.Unix()),
		fmt.Sprintf("%d+%d: bill none of 0, 0 Wh, 0 items", second.Unix(), h.To.Unix()-second.Unix()),
	}
	if !slices.Equal(got, want) {
		t.Errorf("summaries are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestGreenButtonWithout(t *testing.T) {
	z, periods := springAndAutumn(t)
	for name, change := range map[string]func(*export.Header){
		"costs":         func(h *export.Header) { h.Currency = "" },
		"a currency":    func(h *export.Header) { h.Currency = "XAU" },
		"export":        func(h *export.Header) { h.Feeds = false },
		"a whole block": func(h *export.Header) { h.Seconds = 30 },
	} {
		h, list := home(t, z, periods[0][0], periods[0][1])
		change(&h)
		if name == "a whole block" {
			list = list[:40]
			for i := range list {
				list[i].End = list[i].Start + 30
			}
		}
		content := write(t, export.FormatGreenButton, h, list)
		validate(t, content)
		got, _ := readGreenButton(t, content)
		if len(got[1]) != len(list) || (len(got[19]) == 0) != (name == "export") {
			t.Errorf("without %s: %d and %d readings of %d", name, len(got[1]), len(got[19]), len(list))
		}
		if costs := slices.ContainsFunc(got[1], func(r gbReading) bool { return r.cost != nil }); costs == (name == "costs" || name == "a currency") {
			t.Errorf("without %s: costs %v", name, costs)
		}
	}
	// Nothing at all was measured.
	h, _ := home(t, z, periods[0][0], periods[0][1])
	validate(t, write(t, export.FormatGreenButton, h, nil))
}

func TestLocalTime(t *testing.T) {
	for _, c := range []struct {
		zone string
		want localTime
	}{
		{"America/New_York", localTime{"B40E2000", 3600, "360E2000", -18000}}, // as in published examples
		{"Europe/Zurich", localTime{"AE0E3000", 3600, "3E0E2000", 3600}},
		{"Europe/London", localTime{"AE0E2000", 3600, "3E0E1000", 0}},
		{"Australia/Sydney", localTime{"440E3000", 3600, "A40E2000", 36000}},
		{"Australia/Lord_Howe", localTime{"440E2000", 1800, "A40E2000", 37800}},
		{"Asia/Kolkata", localTime{"FFFFFFFF", 0, "FFFFFFFF", 19800}},
		{"UTC", localTime{"FFFFFFFF", 0, "FFFFFFFF", 0}},
	} {
		z := zone(t, c.zone)
		from := consumer.DayStart(2026, 6, 1, z)
		content := write(t, export.FormatGreenButton, export.Header{From: from, To: from.AddDate(0, 1, 0), Zone: z, Seconds: quarter, Made: made}, nil)
		_, f := readGreenButton(t, content)
		if got := *f.Entries[1].Content.Local; got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.zone, got, c.want)
		}
	}
}
