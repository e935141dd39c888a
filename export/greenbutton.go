package export

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// Codes of ESPI (schema 3.3).
const (
	flowForward   = 1  // to the consumer
	flowReverse   = 19 // to the grid
	unitWh        = 72
	itemUsageFee  = 3
	itemCredit    = 6
	costPlaces    = 5 // hundred-thousandths of the currency
	finestByDay   = 60
	secondsOfHour = 3600
	mostCost      = 1<<47 - 1 // of Int48
)

// greenButton is the form of section 5. Readings of import go out as they
// come; those of export wait for the end of their block.
type greenButton struct {
	w        io.Writer
	h        Header
	currency int    // ISO 4217 number; 0 without costs
	point    string // link of the usage point
	row      []byte
	reverse  bytes.Buffer // readings of export of the block
	blockEnd int64        // of the block that is open, else 0
	block    span
	sum      gbSum
	err      error
}

type span struct{ from, to int64 }

// gbSum is what the summary says.
type gbSum struct {
	imported, exported     int64
	importCost, exportCost tariff.Decimal
	any, uncosted          bool
}

func newGreenButton(w io.Writer, h Header) (*greenButton, error) {
	g := &greenButton{w: w, h: h, point: "/espi/1_1/resource/UsagePoint/" + newUUID()}
	if h.Currency != "" {
		g.currency = currencyNumbers[h.Currency]
	}
	self := "/espi/1_1/resource/LocalTimeParameters/1"
	g.printf(`<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>urn:uuid:%s</id>
<title>Energy</title>
<updated>%s</updated>
<link rel="self" href="/espi/1_1/resource/Batch/%s"/>
`, newUUID(), g.made(), newUUID())
	g.entry("Usage point", g.point, "/espi/1_1/resource/UsagePoint", []string{g.point + "/MeterReading", g.point + "/UsageSummary", self},
		`<UsagePoint xmlns="http://naesb.org/espi"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>`)
	g.entry("Local time", self, "/espi/1_1/resource/LocalTimeParameters", nil, localTime(h.Zone, h.To.Add(-time.Second)))
	g.meterReading(flowForward, "Energy from the grid")
	if h.Feeds {
		g.meterReading(flowReverse, "Energy to the grid")
	}
	return g, g.err
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (g *greenButton) made() string { return g.h.Made.UTC().Format(time.RFC3339) }

func (g *greenButton) printf(format string, args ...any) {
	if g.err == nil {
		_, g.err = fmt.Fprintf(g.w, format, args...)
	}
}

func (g *greenButton) write(b []byte) {
	if g.err == nil {
		_, g.err = g.w.Write(b)
	}
}

// entry writes an entry of the feed. Nothing in it needs escaping.
func (g *greenButton) entry(title, self, up string, related []string, content string) {
	g.begin(title, self, up, related)
	g.write([]byte(content))
	g.end()
}

func (g *greenButton) begin(title, self, up string, related []string) {
	g.printf("<entry><id>urn:uuid:%s</id><link rel=\"self\" href=\"%s\"/><link rel=\"up\" href=\"%s\"/>", newUUID(), self, up)
	for _, to := range related {
		g.printf("<link rel=\"related\" href=\"%s\"/>", to)
	}
	g.printf("<title>%s</title><content>", title)
}

func (g *greenButton) end() {
	g.printf("</content><published>%[1]s</published><updated>%[1]s</updated></entry>\n", g.made())
}

func (g *greenButton) reading(flow int) string {
	return fmt.Sprintf("%s/MeterReading/%d", g.point, flow)
}

func (g *greenButton) meterReading(flow int, title string) {
	self := g.reading(flow)
	kind := fmt.Sprintf("/espi/1_1/resource/ReadingType/%d", flow)
	g.entry(title, self, g.point+"/MeterReading", []string{self + "/IntervalBlock", kind}, `<MeterReading xmlns="http://naesb.org/espi"/>`)
	g.entry(title, kind, "/espi/1_1/resource/ReadingType", nil, fmt.Sprintf(
		`<ReadingType xmlns="http://naesb.org/espi"><accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity><currency>%d</currency>`+
			`<dataQualifier>12</dataQualifier><defaultQuality>0</defaultQuality><flowDirection>%d</flowDirection><intervalLength>%d</intervalLength>`+
			`<kind>12</kind><powerOfTenMultiplier>0</powerOfTenMultiplier><timeAttribute>0</timeAttribute><uom>%d</uom></ReadingType>`,
		g.currency, flow, g.h.Seconds, unitWh))
}

func (g *greenButton) Write(i *consumer.Interval) error {
	if i.Start >= g.blockEnd {
		g.closeBlock()
		g.openBlock(i.Start)
	}
	var importCost, exportCost *int64
	if g.currency != 0 && i.Costed {
		importCost, exportCost = scaled(i.ImportCost, costPlaces), scaled(i.ExportCost, costPlaces)
	}
	g.row = appendReading(g.row[:0], i, int64(i.Import), importCost)
	g.write(g.row)
	if g.h.Feeds {
		g.row = appendReading(g.row[:0], i, int64(i.Export), exportCost)
		g.reverse.Write(g.row)
	}
	s := &g.sum
	s.any = true
	s.imported, s.exported = s.imported+int64(i.Import), s.exported+int64(i.Export)
	s.uncosted = s.uncosted || !i.Costed
	if i.Costed {
		s.importCost, s.exportCost = s.importCost.Add(i.ImportCost), s.exportCost.Add(i.ExportCost)
	}
	return g.err
}

func appendReading(b []byte, i *consumer.Interval, wh int64, cost *int64) []byte {
	b = append(b, "<IntervalReading>"...)
	if cost != nil && -mostCost <= *cost && *cost <= mostCost {
		b = append(strconv.AppendInt(append(b, "<cost>"...), *cost, 10), "</cost>"...)
	}
	if i.Quality != 0 {
		b = append(strconv.AppendUint(append(b, "<ReadingQuality><quality>"...), uint64(i.Quality), 10), "</quality></ReadingQuality>"...)
	}
	b = append(strconv.AppendInt(append(b, "<timePeriod><duration>"...), i.End-i.Start, 10), "</duration><start>"...)
	b = append(strconv.AppendInt(b, i.Start, 10), "</start></timePeriod><value>"...)
	return append(strconv.AppendInt(b, wh, 10), "</value></IntervalReading>\n"...)
}

// openBlock begins the block around a time: its local day, or its hour where
// intervals are many.
func (g *greenButton) openBlock(at int64) {
	local := time.Unix(at, 0).In(g.h.Zone)
	y, m, d := local.Date()
	g.block = span{consumer.DayStart(y, m, d, g.h.Zone).Unix(), consumer.DayStart(y, m, d+1, g.h.Zone).Unix()}
	if g.h.Seconds < finestByDay {
		hour := at - at%secondsOfHour
		g.block = span{max(g.block.from, hour), min(g.block.to, hour+secondsOfHour)}
	}
	g.block = span{max(g.block.from, g.h.From.Unix()), min(g.block.to, g.h.To.Unix())}
	g.blockEnd = g.block.to
	g.beginBlock(flowForward)
}

func (g *greenButton) beginBlock(flow int) {
	up := g.reading(flow) + "/IntervalBlock"
	g.begin("Intervals", fmt.Sprintf("%s/%d", up, g.block.from), up, nil)
	g.printf("<IntervalBlock xmlns=\"http://naesb.org/espi\"><interval>%s</interval>\n", g.block.xml())
}

func (g *greenButton) endBlock() {
	g.printf("</IntervalBlock>")
	g.end()
}

func (g *greenButton) closeBlock() {
	if g.blockEnd == 0 {
		return
	}
	g.endBlock()
	if g.h.Feeds {
		g.beginBlock(flowReverse)
		g.write(g.reverse.Bytes())
		g.reverse.Reset()
		g.endBlock()
	}
	g.blockEnd = 0
}

func (g *greenButton) Close() error {
	g.closeBlock()
	for i := range g.h.Bills {
		g.billSummary(i+1, &g.h.Bills[i])
	}
	if len(g.h.Bills) == 0 {
		g.periodSummary()
	}
	g.printf("</feed>\n")
	return g.err
}

// billSummary tells of a bill.
func (g *greenButton) billSummary(number int, b *Bill) {
	currency, costs := currencyNumbers[b.Currency], ""
	if total, ok := amount(b.Total); ok && currency != 0 {
		costs = fmt.Sprintf("<billLastPeriod>%d</billLastPeriod>", total)
	}
	var imported *int64
	if b.Told {
		imported = scaled(b.Import, 3)
	}
	g.summary(number, span{b.From.Unix(), b.To.Unix()}, currency, costs, imported)
}

// periodSummary tells of all that is exported.
func (g *greenButton) periodSummary() {
	of, costs := span{g.h.From.Unix(), g.h.To.Unix()}, ""
	if g.currency != 0 && g.sum.any && !g.sum.uncosted {
		costs = lineItem(itemUsageFee, g.sum.importCost, of)
		if g.h.Feeds {
			costs += lineItem(itemCredit, g.sum.exportCost, of)
		}
	}
	g.summary(1, of, g.currency, costs, &g.sum.imported)
}

func (g *greenButton) summary(number int, of span, currency int, costs string, imported *int64) {
	up := g.point + "/UsageSummary"
	g.begin("Summary", fmt.Sprintf("%s/%d", up, number), up, nil)
	g.printf(`<UsageSummary xmlns="http://naesb.org/espi"><billingPeriod>%s</billingPeriod>%s<currency>%d</currency>`, of.xml(), costs, currency)
	if imported != nil {
		g.printf("<overallConsumptionLastPeriod><powerOfTenMultiplier>0</powerOfTenMultiplier><timeStamp>%d</timeStamp>"+
			"<uom>%d</uom><value>%d</value></overallConsumptionLastPeriod>", of.to, unitWh, *imported)
	}
	g.printf("<statusTimeStamp>%d</statusTimeStamp><commodity>1</commodity></UsageSummary>", g.h.Made.Unix())
	g.end()
}

func (s span) xml() string {
	return fmt.Sprintf("<duration>%d</duration><start>%d</start>", s.to-s.from, s.from)
}

// lineItem is a sum of costs. What no Int48 holds is left out.
func lineItem(kind int, cost tariff.Decimal, of span) string {
	units, ok := amount(cost)
	if !ok {
		return ""
	}
	return fmt.Sprintf("<costAdditionalDetailLastPeriod><amount>%d</amount><note>Energy without standing charges, fees and taxes</note>"+
		"<itemKind>%d</itemKind><itemPeriod>%s</itemPeriod></costAdditionalDetailLastPeriod>", units, kind, of.xml())
}

// amount is money in hundred-thousandths of the currency, if an Int48 holds it.
func amount(d tariff.Decimal) (units int64, ok bool) {
	n := scaled(d, costPlaces)
	if n == nil || *n > mostCost || *n < -mostCost {
		return 0, false
	}
	return *n, true
}
