package portal

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wattveil/wattveil/consumer"
)

// chart is use as it is drawn without scripts: bars in SVG whose size does not
// matter, labels beside them, and the same as a table. A script may replace
// the bars by a chart that can be zoomed, from the data at Source.
type chart struct {
	Source   string
	Currency string
	Decimals int
	Bands    []chartBand
	Bars     []bar
	Lines    []chartLine
	Zero     string // height of the zero line
	Ticks    ticks
	Labels   []label
	Rows     []chartRow

	HasExport, HasCost, HasCompare, HasEstimated, HasMissing bool
}

type chartBand struct {
	Name, Class string
}

// bar is a rectangle of the picture, in units of its view box.
type bar struct {
	Class      string
	X, Y, W, H string
}

// label is a time below the picture, where its bucket begins.
type label struct{ X, Text string } // X in per cent of the width

// tick is a label of the axis. Y is in per cent of the height.
type tick struct{ Y, Text string }

type ticks []tick

// Width is room for the longest label, as SVG writes lengths.
func (list ticks) Width() string {
	longest := 0
	for _, t := range list {
		longest = max(longest, utf8.RuneCountInString(t.Text))
	}
	return number(0.62*float64(longest)) + "em"
}

// chartLine is a line through points of the picture.
type chartLine struct{ Class, Points string }

// chartRow is a bucket in the table.
type chartRow struct {
	When    string
	At      time.Time
	Link    string // to a closer look, if there is one
	Import  string
	Bands   []string
	Export  string
	Cost    string
	Compare string
	Quality string // key of the text
}

// The picture's view box.
const (
	chartWidth  = 1000.0
	chartHeight = 240.0
	barShare    = 0.82 // of a bucket's width
)

// chartOf draws use. compare is that of another period, bucket by bucket, or
// nil.
func (v *visit) chartOf(p period, u, compare *consumer.Use, withCost bool) chart {
	c := chart{Currency: u.Currency, Decimals: u.Decimals, HasCompare: compare != nil, HasCost: withCost && u.Currency != ""}
	classes := bandClasses(u.Bands)
	for i, b := range u.Bands {
		c.Bands = append(c.Bands, chartBand{b.Name, classes[i]})
	}
	c.HasExport = u.Total.Export > 0
	c.HasEstimated, c.HasMissing = u.Total.Estimated > 0, u.Total.Missing > 0
	d := drawing{chart: &c, classes: classes, scale: scaleOf(u, compare), n: float64(len(u.Buckets))}
	for i := range u.Buckets {
		d.bucket(i, &u.Buckets[i])
		if b := bucketAt(compare, i); b != nil && b.Known() {
			d.mark(i, b)
		}
	}
	c.Zero = number(d.scale.y(0))
	if c.HasCost {
		d.costs(u.Buckets)
	}
	c.Ticks = d.scale.ticks(v.locale)
	c.Labels = v.labels(p, u)
	c.Rows = v.rows(p, u, compare)
	return c
}

// bandClasses colours bands by price, the cheapest first.
func bandClasses(bands []consumer.Band) []string {
	order := make([]int, len(bands))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(bands[a].Import.Cmp(bands[b].Import), cmp.Compare(bands[a].Name, bands[b].Name))
	})
	classes := make([]string, len(bands))
	for rank, i := range order {
		classes[i] = "band-" + strconv.Itoa(min(rank, maxBandClass))
	}
	return classes
}

const maxBandClass = 5

func bucketAt(u *consumer.Use, i int) *consumer.Bucket {
	if u == nil || i >= len(u.Buckets) {
		return nil
	}
	return &u.Buckets[i]
}

// scale maps Wh to heights of the picture.
type scale struct{ top, bottom int64 } // Wh; bottom is what export reaches

func scaleOf(u, compare *consumer.Use) scale {
	var s scale
	for i := range u.Buckets {
		s.top = max(s.top, int64(u.Buckets[i].Import))
		s.bottom = max(s.bottom, int64(u.Buckets[i].Export))
		if b := bucketAt(compare, i); b != nil {
			s.top = max(s.top, int64(b.Import))
		}
	}
	return scale{roundUp(s.top), roundUp(s.bottom)}
}

// roundUp is the next number of few digits, 10 or more; of 0 it is 0.
func roundUp(n int64) int64 {
	if n <= 0 {
		return 0
	}
	for unit := int64(1); ; unit *= 10 {
		for _, step := range [...]int64{10, 12, 15, 20, 25, 30, 40, 50, 60, 80} {
			if n <= unit*step {
				return unit * step
			}
		}
	}
}

func (s scale) y(wh int64) float64 {
	height := s.top + s.bottom
	if height == 0 {
		return chartHeight
	}
	return chartHeight * float64(s.top-wh) / float64(height)
}

// tickRoom is the share of the height that a label takes.
const tickRoom = 0.08

// ticks are the labels of the axis, from the top down. An end that is so near to
// zero that its label would lie over that of zero has none.
func (s scale) ticks(l locale) (list ticks) {
	room := int64(tickRoom * float64(s.top+s.bottom))
	add := func(wh int64, text string) { list = append(list, tick{number(100 * s.y(wh) / chartHeight), text}) }
	if s.top > room {
		add(s.top, l.roundKWh(s.top))
	}
	if s.top+s.bottom == 0 {
		add(0, "0 kWh")
	} else {
		add(0, "0")
	}
	if s.bottom > room {
		add(-s.bottom, "−"+l.roundKWh(s.bottom))
	}
	return list
}

// drawing is a chart while its bars are drawn.
type drawing struct {
	*chart
	classes []string
	scale   scale
	n       float64
}

func (d *drawing) x(i int) (left, width float64) {
	width = chartWidth / d.n
	return float64(i) * width, width
}

// bucket draws a bucket: a patch behind it where something is missing, a bar of
// its bands upward, what is estimated of it hatched, and export downward.
func (d *drawing) bucket(i int, b *consumer.Bucket) {
	left, width := d.x(i)
	if b.Missing > 0 {
		d.add("missing", left, 0, width, chartHeight)
	}
	left, width = left+width*(1-barShare)/2, width*barShare
	var sum int64
	for _, s := range b.Shares {
		class := "band-none"
		if s.Band != consumer.NoBand {
			class = d.classes[s.Band]
		}
		d.upright(class, left, width, sum, sum+int64(s.Import))
		sum += int64(s.Import)
	}
	d.upright("estimated", left, width, sum-int64(b.EstimatedImport), sum)
	d.upright("export", left, width, -int64(b.Export), 0)
	d.upright("estimated", left, width, -int64(b.Export), -int64(b.Export)+int64(b.EstimatedExport))
}

func (d *drawing) upright(class string, left, width float64, low, high int64) {
	if high > low {
		d.add(class, left, d.scale.y(high), width, d.scale.y(low)-d.scale.y(high))
	}
}

func (d *drawing) add(class string, x, y, w, h float64) {
	d.Bars = append(d.Bars, bar{class, number(x), number(y), number(w), number(h)})
}

// mark draws what was used in the period compared with.
func (d *drawing) mark(i int, b *consumer.Bucket) {
	left, width := d.x(i)
	y := number(d.scale.y(int64(b.Import)))
	d.Lines = append(d.Lines, chartLine{"compare", number(left) + "," + y + " " + number(left+width) + "," + y})
}

// costs draws the cost of each bucket as a line on a scale of its own, with
// breaks where it is not known.
func (d *drawing) costs(buckets []consumer.Bucket) {
	low, high := 0.0, 0.0
	for _, b := range buckets {
		if b.Costed {
			cost, _ := b.Cost.Rat().Float64()
			low, high = min(low, cost), max(high, cost)
		}
	}
	if high == low {
		return
	}
	var points []string
	end := func() {
		if len(points) > 0 {
			d.Lines = append(d.Lines, chartLine{"cost", strings.Join(points, " ")})
		}
		points = nil
	}
	for i, b := range buckets {
		if !b.Costed {
			end()
			continue
		}
		left, width := d.x(i)
		cost, _ := b.Cost.Rat().Float64()
		points = append(points, number(left+width/2)+","+number(chartHeight*(high-cost)/(high-low)))
	}
	end()
}

func number(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// labels are a few times below the picture, as many as a phone has room for.
func (v *visit) labels(p period, u *consumer.Use) []label {
	n := len(u.Buckets)
	at := func(i int) time.Time { return time.Unix(u.Buckets[i].Start, 0).In(u.Zone) }
	if p.by == byWeek {
		var days []label
		for i := range n {
			if i == 0 || at(i).Day() != at(i-1).Day() {
				days = append(days, labelAt(i, n, dayNames[v.locale.lang][at(i).Weekday()]))
			}
		}
		return days
	}
	return labelsOf(n, func(i int) string {
		switch p.by {
		case byDay:
			return v.locale.clock(at(i))
		case byMonth:
			return v.locale.dayOfMonth(at(i))
		default:
			return v.locale.shortMonth(at(i).Month())
		}
	})
}

// labelsOf labels some of n buckets, five at most. The last one has as much room
// as the others.
func labelsOf(n int, text func(i int) string) []label {
	var labels []label
	every := max(1, (n+4)/5)
	for i := 0; i+every <= n; i += every {
		labels = append(labels, labelAt(i, n, text(i)))
	}
	return labels
}

func labelAt(i, n int, text string) label {
	return label{number(100 * float64(i) / float64(n)), text}
}

// rows are the buckets as a table.
func (v *visit) rows(p period, u, compare *consumer.Use) []chartRow {
	var list []chartRow
	for i := range u.Buckets {
		b := &u.Buckets[i]
		at := time.Unix(b.Start, 0).In(u.Zone)
		row := chartRow{When: p.bucket(v.locale, at), At: at, Quality: quality(b)}
		if by, ok := p.finer(); ok && v.meter != nil {
			row.Link = "/m/" + v.meter.Ref + "/use?" + periodOf(by, at).query().Encode()
		}
		if b.Known() {
			row.Import, row.Export = v.locale.kWh(int64(b.Import)), v.locale.kWh(int64(b.Export))
			if b.Costed {
				row.Cost = v.locale.money(b.Cost, u.Currency, u.Decimals)
			}
		}
		for band := range u.Bands {
			row.Bands = append(row.Bands, v.bandCell(b, band))
		}
		if c := bucketAt(compare, i); c != nil && c.Known() {
			row.Compare = v.locale.kWh(int64(c.Import))
		}
		list = append(list, row)
	}
	return list
}

func (v *visit) bandCell(b *consumer.Bucket, band int) string {
	for _, s := range b.Shares {
		if s.Band == band {
			return v.locale.kWh(int64(s.Import))
		}
	}
	return ""
}

// quality is the text that says how a bucket is known.
func quality(b *consumer.Bucket) string {
	switch {
	case !b.Known() && b.Missing > 0:
		return "chart-none"
	case !b.Known():
		return "chart-later"
	case b.Missing > 0:
		return "chart-unknown"
	case b.Estimated > 0:
		return "chart-estimate"
	case b.Doubtful:
		return "chart-doubt"
	default:
		return "chart-measured"
	}
}

// ViewBox is the picture's view box.
func (chart) ViewBox() string { return fmt.Sprintf("0 0 %v %v", chartWidth, chartHeight) }
