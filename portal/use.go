package portal

import (
	"net/url"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

var usePage = page{name: "use", texts: texts{
	"title":       {"Use", "Verbrauch"},
	"day":         {"Day", "Tag"},
	"week":        {"Week", "Woche"},
	"month":       {"Month", "Monat"},
	"year":        {"Year", "Jahr"},
	"period":      {"Period", "Zeitraum"},
	"earlier":     {"Earlier", "Früher"},
	"later":       {"Later", "Später"},
	"date":        {"Date", "Datum"},
	"compare":     {"Compare with", "Vergleichen mit"},
	"compare-no":  {"nothing", "nichts"},
	"compare-pre": {"the period before", "dem Zeitraum davor"},
	"compare-yea": {"last year", "dem Vorjahr"},
	"cost":        {"Show cost", "Kosten zeigen"},
	"show":        {"Show", "Anzeigen"},
	"sum-import":  {"From the grid", "Bezug"},
	"sum-export":  {"To the grid", "Einspeisung"},
	"sum-cost":    {"Energy cost", "Energiekosten"},
	"sum-cost-t":  {"without standing charges, fees and taxes", "ohne Grundpreis, Abgaben und Steuern"},
	"sum-compare": {"Compared", "Im Vergleich"},
	"sum-of":      {"with %s", "mit %s"},
	"estimated":   {"%s of it is estimated: readings are missing, and only the sum over the gap was measured.", "%s davon sind geschätzt: Messwerte fehlen, und nur die Summe über die Lücke ist gemessen."},
	"missing":     {"For %s nothing is known. This is not drawn as zero.", "Für %s ist nichts bekannt. Das ist nicht als Null gezeichnet."},
	"share":       {"Share these days by a link", "Diese Tage per Link teilen"},
	"erased":      {"Readings before %s were erased, as you wanted. Only bills are left of that time.", "Messwerte vor dem %s wurden gelöscht, wie Sie es wollten. Aus dieser Zeit gibt es nur noch die Rechnungen."},
	"doubtful":    {"The meter or a check marked some of the measured values as doubtful.", "Der Zähler oder eine Prüfung hat einige der gemessenen Werte als zweifelhaft gekennzeichnet."},
	"nothing":     {"There are no readings in this period.", "In diesem Zeitraum gibt es keine Messwerte."},
	"no-tariff":   {"No tariff is known for this meter yet, so there are no bands and costs.", "Für diesen Zähler ist noch kein Tarif bekannt, darum gibt es keine Tarifstufen und Kosten."},
	"no-price":    {"The tariff has no single price for each band, so costs are not shown here.", "Der Tarif hat nicht für jede Tarifstufe genau einen Preis, darum stehen hier keine Kosten."},
	"chart":       {"Energy over time", "Energie über die Zeit"},
}}

// What a period can be compared with.
const (
	compareNone     = ""
	comparePrevious = "previous"
	compareYear     = "year"
)

type useView struct {
	Period     period
	Title      string
	Spans      []spanLink
	Earlier    string
	Later      string // empty if it is all in the future
	Compare    string
	Cost       bool
	By, At     string
	Use        consumer.Use
	Chart      chart
	Estimated  string
	Missing    string
	Share      string
	Erased     string // until when; empty if nothing of the period is
	Change     string
	ChangeOf   string
	CanCost    bool
	AnyReading bool
}

type spanLink struct {
	Key, Path string
	Current   bool
}

// use shows a day, week, month or year.
func use(v *visit) error {
	q := v.r.URL.Query()
	p, u, compare, err := v.askedUse(q)
	if err != nil {
		return err
	}
	shown := useView{
		Period: p, Title: p.title(v.locale), Compare: q.Get("compare"), Cost: q.Get("cost") != "",
		By: string(p.by), At: p.from.Format(dateForm), Use: *u, AnyReading: u.Total.Known(),
		CanCost: u.Total.Costed, Earlier: v.usePath(p.move(-1), q),
	}
	if later := p.move(1); !later.from.After(v.s.cfg.Now()) {
		shown.Later = v.usePath(later, q)
	}
	for _, by := range spans {
		shown.Spans = append(shown.Spans, spanLink{string(by), v.usePath(periodOf(by, p.from), q), by == p.by})
	}
	shown.Chart = v.chartOf(p, u, compare, shown.Cost)
	shown.Chart.Source = "/m/" + v.meter.Ref + "/use.json?" + v.useQuery(p, q).Encode()
	days := dayRange{p.from, p.to}
	shown.Share = v.privacyPath() + "?" + url.Values{"from": {p.from.Format(dateForm)}, "to": {days.last().Format(dateForm)}}.Encode() + "#links"
	v.remarks(&shown, u, compare)
	return v.render(200, &usePage, shown)
}

// useQuery is a period with the page's choices, as parameters.
func (v *visit) useQuery(p period, chosen url.Values) url.Values {
	q := p.query()
	for _, name := range [...]string{"compare", "cost"} {
		if value := chosen.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (v *visit) usePath(p period, chosen url.Values) string {
	return "/m/" + v.meter.Ref + "/use?" + v.useQuery(p, chosen).Encode()
}

// askedUse is the use of the period that an address names.
func (v *visit) askedUse(q url.Values) (p period, u, compare *consumer.Use, err error) {
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return p, nil, nil, err
	}
	if p, err = parsePeriod(q, v.s.cfg.Now().In(zone)); err != nil {
		return p, nil, nil, err
	}
	u, compare, err = v.loadUse(p, q.Get("compare"))
	return p, u, compare, err
}

// loadUse asks for the use of a period and of the one that it is compared
// with.
func (v *visit) loadUse(p period, with string) (u, compare *consumer.Use, err error) {
	other := p
	switch with {
	case compareNone:
	case comparePrevious:
		other = p.move(-1)
	case compareYear:
		other = p.lastYear()
	default:
		return nil, nil, badRequest{"compare", text{"previous or year", "previous oder year"}}
	}
	one, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, consumer.Query{From: p.from, To: p.to, Step: p.step()})
	if err != nil || with == compareNone {
		return &one, nil, err
	}
	two, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, consumer.Query{From: other.from, To: other.to, Step: p.step()})
	return &one, &two, err
}

// remarks says in words what the chart shows.
func (v *visit) remarks(shown *useView, u, compare *consumer.Use) {
	if t := u.Total; t.Estimated > 0 {
		shown.Estimated = v.locale.kWh(int64(t.EstimatedImport))
	}
	if u.Total.Missing > 0 {
		shown.Missing = v.duration(time.Duration(u.Total.Missing) * time.Second)
	}
	if e := u.Erased; !e.IsZero() && e.Unix() > u.Total.Start {
		shown.Erased = v.locale.date(e.In(u.Zone))
	}
	if compare == nil {
		return
	}
	var now, then int64 // of buckets that both know
	for i := range u.Buckets {
		if b := bucketAt(compare, i); b != nil && b.Known() && u.Buckets[i].Known() {
			now += int64(u.Buckets[i].Import)
			then += int64(b.Import)
		}
	}
	if then > 0 {
		shown.Change, shown.ChangeOf = v.locale.percent(now-then, then), v.locale.kWh(then)
	}
}

var nowPage = page{name: "now", texts: texts{
	"title":     {"Now and today", "Jetzt und heute"},
	"power":     {"Just now", "Gerade"},
	"power-t":   {"mean from %s to %s", "im Mittel von %s bis %s"},
	"feeding":   {"to the grid", "ins Netz"},
	"drawing":   {"from the grid", "aus dem Netz"},
	"today":     {"From the grid today so far", "Heute bisher bezogen"},
	"export":    {"To the grid today", "Heute eingespeist"},
	"cost":      {"Energy cost today", "Energiekosten heute"},
	"cost-t":    {"without standing charges, fees and taxes", "ohne Grundpreis, Abgaben und Steuern"},
	"yesterday": {"%s against yesterday until now", "%s gegenüber gestern bis jetzt"},
	"band":      {"Present band", "Tarifstufe jetzt"},
	"price":     {"%s per kWh", "%s je kWh"},
	"none":      {"No reading has come yet. A new meter sends its first ones within a day.", "Es ist noch kein Messwert gekommen. Ein neuer Zähler sendet die ersten innerhalb eines Tages."},
	"silent":    {"The last reading is of %s. What the meter measures since will come later.", "Der letzte Messwert ist von %s. Was der Zähler seither misst, kommt später."},
	"chart":     {"Today", "Heute"},
	"more":      {"All of your use", "Ihr ganzer Verbrauch"},
	"stamp":     {"As of %s", "Stand %s"},
}}

type nowView struct {
	Use       consumer.Use
	Chart     chart
	Day       string
	Stamp     time.Time
	LastTime  time.Time // zero if there is no reading
	Silent    bool
	Power     string
	Feeding   bool
	From, To  time.Time
	Change    string
	Band      string
	BandClass string
	Price     string
}

// now shows the last interval and today.
func now(v *visit) error {
	s, err := v.s.cfg.TTP.Standing(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	localise(&s)
	at := v.s.cfg.Now().In(s.Zone)
	p := periodOf(byDay, at)
	u, yesterday, err := v.loadUse(p, comparePrevious)
	if err != nil {
		return err
	}
	shown := nowView{
		Use: *u, Day: v.locale.date(at), Stamp: at, LastTime: s.LastReading, Chart: v.chartOf(p, u, nil, false),
		Silent: at.Sub(s.LastReading) > max(silentAfter, 3*s.Resolution.Duration()),
	}
	shown.Chart.Source = "/m/" + v.meter.Ref + "/use.json?" + p.query().Encode()
	var remarks useView
	v.remarks(&remarks, u, yesterday)
	shown.Change = remarks.Change
	if err := v.latest(&shown, s, u); err != nil {
		return err
	}
	return v.render(200, &nowPage, shown)
}

// latest shows the mean power of the meter's last interval.
func (v *visit) latest(shown *nowView, s consumer.Standing, u *consumer.Use) error {
	if s.LastReading.IsZero() {
		return nil
	}
	length := s.Resolution.Duration()
	last, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, consumer.Query{From: s.LastReading.Add(-length), To: s.LastReading})
	if err != nil {
		return err
	}
	if !last.Total.Known() {
		return nil
	}
	wh := int64(last.Total.Import - last.Total.Export)
	shown.Feeding = wh < 0
	shown.From, shown.To = s.LastReading.Add(-length), s.LastReading
	shown.Power = v.locale.watts(max(wh, -wh) * int64(time.Hour) / int64(length))
	for _, share := range last.Total.Shares {
		if share.Band != consumer.NoBand {
			b := u.Bands[share.Band]
			shown.Band, shown.BandClass = b.Name, bandClasses(u.Bands)[share.Band]
			if b.Priced {
				shown.Price = v.locale.unitPrice(b.Import, u.Currency)
			}
		}
	}
	return nil
}
