package portal

import (
	"context"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Outlooks tells what the running period costs, and may come to.
type Outlooks interface {
	Outlook(ctx context.Context, m wattveil.Meter) (consumer.Outlook, error)
}

var outlookPage = page{name: "outlook", texts: texts{
	"title":       {"This bill so far", "Diese Rechnung bisher"},
	"period":      {"From %s, probably until %s", "Seit %s, voraussichtlich bis %s"},
	"billed":      {"It begins where your last bill ended.", "Sie beginnt, wo Ihre letzte Rechnung endete."},
	"unbilled":    {"There is no bill yet. This is about the present month.", "Es gibt noch keine Rechnung. Hier geht es um den laufenden Monat."},
	"so-far":      {"So far", "Bisher"},
	"so-far-t":    {"until %s, with all fees and taxes", "bis %s, mit allen Gebühren und Steuern"},
	"may-be":      {"At the end, probably", "Am Ende voraussichtlich"},
	"range":       {"between %s and %s", "zwischen %s und %s"},
	"energy":      {"From the grid so far", "Bezug bisher"},
	"energy-t":    {"probably %s at the end", "am Ende voraussichtlich %s"},
	"f-tariff":    {"No tariff is known for this meter yet, so there is no cost.", "Für diesen Zähler ist noch kein Tarif bekannt, darum gibt es keine Kosten."},
	"f-energy":    {"There are no readings since this period began.", "Seit Beginn dieses Zeitraums gibt es keine Messwerte."},
	"f-valid":     {"The tariff of your last bill is not valid in all of this time, so there is no cost.", "Der Tarif Ihrer letzten Rechnung gilt nicht in der ganzen Zeit, darum gibt es keine Kosten."},
	"f-price":     {"Prices of this time are not known yet, so there is no cost.", "Preise dieser Zeit sind noch nicht bekannt, darum gibt es keine Kosten."},
	"f-rating":    {"The cost cannot be computed for this meter.", "Die Kosten lassen sich für diesen Zähler nicht berechnen."},
	"f-forecast":  {"The cost at the end cannot be told: prices of the days to come are not known.", "Die Kosten am Ende lassen sich nicht sagen: Preise der kommenden Tage sind nicht bekannt."},
	"no-forecast": {"There are too few complete days for a forecast yet: it takes two.", "Für eine Vorhersage gibt es noch zu wenige vollständige Tage: Es braucht zwei."},
	"chart":       {"Day by day", "Tag für Tag"},
	"measured":    {"measured", "gemessen"},
	"forecast":    {"forecast", "vorhergesagt"},
	"span":        {"range of the forecast", "Spanne der Vorhersage"},
	"unknown":     {"not known", "nicht bekannt"},
	"how":         {"How the forecast is made", "Wie die Vorhersage entsteht"},
	"how-t":       {"Each day to come is taken to be the mean of the days like it in the last 8 weeks: working days, Saturdays or Sundays. The range runs from the mean of the lower half of those days to the mean of the upper half, for all days to come at once. It knows nothing of weather or holidays. At least %d days went into each.", "Jeder kommende Tag wird als Mittel der gleichartigen Tage der letzten 8 Wochen angenommen: Werktage, Samstage oder Sonntage. Die Spanne reicht vom Mittel der niedrigeren Hälfte dieser Tage bis zum Mittel der höheren, für alle kommenden Tage zugleich. Sie weiß nichts von Wetter und Feiertagen. In jeden gingen mindestens %d Tage ein."},
	"lines":       {"What it is made of so far", "Woraus es bisher besteht"},
	"line":        {"What", "Was"},
	"quantity":    {"How much", "Wie viel"},
	"price":       {"Price", "Preis"},
	"amount":      {"Amount", "Betrag"},
	"total":       {"Sum", "Summe"},
	"estimated":   {"%s of this time are estimated: readings are missing, and only the sum over the gap was measured.", "%s dieser Zeit sind geschätzt: Messwerte fehlen, und nur die Summe über die Lücke ist gemessen."},
	"missing":     {"For %s nothing is known; it counts without energy until the readings come.", "Für %s ist nichts bekannt; das zählt ohne Energie, bis die Messwerte kommen."},
	"table":       {"The same as a table", "Dasselbe als Tabelle"},
	"day":         {"Day", "Tag"},
}}

type outlookView struct {
	consumer.Outlook
	Last          time.Time // day of the period
	Fault         string    // key of the text
	FaultForecast bool
	SoFarCost     string
	MeanCost      string
	LowCost       string
	TopCost       string
	EstimatedFor  string
	MissingFor    string
	Lines         []lineRow
	Chart         outlookChart
}

// outlook shows the running period.
func outlook(v *visit) error {
	o, err := v.s.cfg.TTP.Outlook(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	shown := outlookView{Outlook: o, Last: o.To.Add(-time.Hour), Fault: faultKey(o.SoFar.Fault)}
	if o.SoFar.Fault == consumer.NoTariff {
		shown.Fault = "f-tariff"
	}
	money := func(d consumer.Due) string { return v.locale.money(d.Total, o.Currency, o.Decimals) }
	if o.SoFar.Fault == "" {
		shown.SoFarCost, shown.Lines = money(o.SoFar), v.lineRows(o.SoFar.Lines, o.Currency)
	}
	switch {
	case !o.Forecast || o.SoFar.Fault != "":
	case o.Low.Fault == "" && o.Mean.Fault == "" && o.Top.Fault == "":
		shown.LowCost, shown.MeanCost, shown.TopCost = money(o.Low), money(o.Mean), money(o.Top)
	default:
		shown.FaultForecast = true
	}
	if o.Estimated > 0 {
		shown.EstimatedFor = v.duration(time.Duration(o.Estimated) * time.Second)
	}
	if o.Missing > 0 {
		shown.MissingFor = v.duration(time.Duration(o.Missing) * time.Second)
	}
	shown.Chart = v.outlookChart(&o)
	return v.render(200, &outlookPage, shown)
}

// outlookChart is the period day by day, as it is drawn and as a table.
type outlookChart struct {
	Bars   []bar
	Ticks  ticks
	Labels []label
	Rows   []outlookRow
}

type outlookRow struct{ Day, Measured, Forecast, Range string }

// outlookChart draws measured days full and forecast ones as outlines, with
// their range as a line in the middle.
func (v *visit) outlookChart(o *consumer.Outlook) outlookChart {
	var c outlookChart
	var s scale
	for _, d := range o.Days {
		s.top = max(s.top, int64(d.Measured+d.Top), int64(d.Measured+d.Mean))
	}
	s.top = roundUp(s.top)
	c.Ticks = s.ticks(v.locale)
	width := chartWidth / float64(max(len(o.Days), 1))
	add := func(class string, i int, share float64, low, high wattveil.Wh) {
		if high > low {
			y := s.y(int64(high))
			c.Bars = append(c.Bars, bar{class, number((float64(i) + (1-share)/2) * width), number(y), number(share * width), number(s.y(int64(low)) - y)})
		}
	}
	for i, d := range o.Days {
		if d.Missing {
			c.Bars = append(c.Bars, bar{"missing", number(float64(i) * width), "0", number(width), number(chartHeight)})
		}
		add("band-none", i, barShare, 0, d.Measured)
		add("forecast", i, barShare, d.Measured, d.Measured+d.Mean)
		add("range", i, 0.16, d.Measured+d.Low, d.Measured+d.Top)
		row := outlookRow{Day: v.locale.day(d.Start)}
		if d.Known {
			row.Measured = v.locale.kWh(int64(d.Measured))
		}
		if d.Top > 0 {
			row.Forecast = v.locale.kWh(int64(d.Mean))
			row.Range = v.locale.kWh(int64(d.Low)) + " – " + v.locale.kWh(int64(d.Top))
		}
		c.Rows = append(c.Rows, row)
	}
	c.Labels = labelsOf(len(o.Days), func(i int) string { return v.locale.dayOfMonth(o.Days[i].Start) })
	return c
}

// ViewBox is the picture's view box.
func (outlookChart) ViewBox() string { return chart{}.ViewBox() }
