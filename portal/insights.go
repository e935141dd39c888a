package portal

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/consumer"
)

// Insights tells what meters' measured energy shows.
type Insights interface {
	Insights(ctx context.Context, m wattveil.Meter, from, to time.Time) (analytics.Insights, error)
}

var insightsPage = page{name: "insights", texts: texts{
	"title":      {"Insights", "Erkenntnisse"},
	"lead":       {"What your meter's readings of the last 13 weeks show, from %s to %s.", "Was die Messwerte der letzten 13 Wochen zeigen, vom %s bis zum %s."},
	"measured":   {"%s of %s hours were measured whole. Only these count here; what is estimated or missing says nothing of you.", "%s von %s Stunden sind ganz gemessen. Nur sie zählen hier; Geschätztes und Fehlendes sagt nichts über Sie."},
	"little":     {"Too little was measured yet: this needs at least 7 days.", "Noch ist zu wenig gemessen: Das braucht mindestens 7 Tage."},
	"base":       {"Base load", "Grundlast"},
	"base-t":     {"What your home draws when nobody uses anything: refrigerators, routers, devices that wait. The middle of the lowest hours of %d days.", "Was Ihr Zuhause zieht, wenn niemand etwas benutzt: Kühlgeräte, Router, Geräte in Bereitschaft. Die Mitte der niedrigsten Stunden von %d Tagen."},
	"base-night": {"What your home draws at night when nobody uses anything; by day your own generation hides it. The middle of the lowest night hours of %d days.", "Was Ihr Zuhause nachts zieht, wenn niemand etwas benutzt; am Tag verdeckt es Ihre Erzeugung. Die Mitte der niedrigsten Nachtstunden von %d Tagen."},
	"base-year":  {"If it stays so, that is about %s kWh in a year.", "Bleibt es so, sind das rund %s kWh im Jahr."},
	"standby":    {"Share of the base load", "Anteil der Grundlast"},
	"standby-t":  {"of what you drew from the grid is the base load, day and night.", "von dem, was Sie aus dem Netz bezogen, ist die Grundlast, Tag und Nacht."},
	"peak":       {"Highest use", "Höchste Leistung"},
	"peak-t":     {"mean of %s from %s", "im Mittel über %s ab %s"},
	"night":      {"At night", "Nachts"},
	"night-t":    {"of what you drew from the grid was between 22:00 and 06:00.", "von dem, was Sie aus dem Netz bezogen, floss zwischen 22 und 6 Uhr."},
	"unusual":    {"Unusual days", "Ungewöhnliche Tage"},
	"unusual-t":  {"Days far from the days like them: weekdays are compared with weekdays, weekends with weekends, within six weeks. %d days could be compared.", "Tage, die weit von ähnlichen Tagen abweichen: Werktage werden mit Werktagen verglichen, Wochenenden mit Wochenenden, innerhalb von sechs Wochen. %d Tage ließen sich vergleichen."},
	"no-unusual": {"None.", "Keine."},
	"u-day":      {"Day", "Tag"},
	"u-import":   {"From the grid", "Bezug"},
	"u-usual":    {"Days like it", "Ähnliche Tage"},
	"u-what":     {"What", "Was"},
	"u-high":     {"far more than usual", "weit mehr als sonst"},
	"u-low":      {"far less than usual", "weit weniger als sonst"},
	"about":      {"about %s", "rund %s"},
	"circa":      {"≈ %s", "≈ %s"},
	"week":       {"Your week", "Ihre Woche"},
	"week-t":     {"Mean power from the grid in kW, by weekday and hour. The stronger the colour, the more.", "Mittlere Leistung aus dem Netz in kW, nach Wochentag und Stunde. Je kräftiger die Farbe, desto mehr."},
	"hour":       {"Hour", "Uhr"},
	"unknown":    {"not known", "nicht bekannt"},
}}

const (
	insightWeeks = 13
	heatSteps    = 7
)

type insightsView struct {
	From, To   string
	Hours, Of  string
	Any        bool // something can be said
	Base       string
	BaseYear   string
	Peak       string
	PeakLength string
	PeakAt     string
	Standby    string
	Night      string
	Insights   analytics.Insights
	Unusual    []unusualRow
	Days       []string
	Week       []weekRow
}

type unusualRow struct {
	When, Link, Import, Usual string
	High                      bool
}

type weekRow struct {
	Hour  string
	Cells []weekCell
}

type weekCell struct{ Class, Text string }

// insights shows the last weeks up to today.
func insights(v *visit) error {
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	now := v.s.cfg.Now().In(zone)
	y, m, d := now.Date()
	from := consumer.DayStart(y, m, d-7*insightWeeks, zone)
	to := consumer.DayStart(y, m, d, zone) // today is not over
	found, err := v.s.cfg.TTP.Insights(v.r.Context(), v.meter.Name, from, to)
	if err != nil {
		return err
	}
	shown := insightsView{
		From: v.locale.date(from), To: v.locale.date(to.AddDate(0, 0, -1)), Insights: found,
		Hours: v.locale.hours(found.Measured), Of: v.locale.hours(found.Of), Any: found.Base.Known,
	}
	if shown.Any {
		v.describeInsights(&shown, zone)
	}
	return v.render(200, &insightsPage, shown)
}

func (v *visit) describeInsights(shown *insightsView, zone *time.Location) {
	i := &shown.Insights
	shown.Base = v.locale.aboutWatts(int64(i.Base.Power))
	shown.BaseYear = v.locale.number(strconv.FormatInt(twoDigits(int64(i.Base.Power)*8766/1000), 10))
	if i.Peak.Known {
		at := time.Unix(i.Peak.Start, 0).In(zone)
		shown.Peak, shown.PeakLength = v.locale.aboutWatts(int64(i.Peak.Power)), v.duration(i.Peak.Length)
		shown.PeakAt = v.locale.day(at) + ", " + v.locale.clock(at)
	}
	if i.Standby.Known {
		shown.Standby = v.locale.share(i.Standby.Percent())
	}
	if i.Night.Known {
		shown.Night = v.locale.share(i.Night.Percent())
	}
	for n := len(i.Unusual) - 1; n >= 0; n-- { // newest first
		d := i.Unusual[n]
		at := time.Unix(d.Start, 0).In(zone)
		shown.Unusual = append(shown.Unusual, unusualRow{
			When: v.locale.day(at), Link: "/m/" + v.meter.Ref + "/use?" + url.Values{"by": {string(byDay)}, "at": {at.Format(dateForm)}}.Encode(),
			Import: v.locale.aboutKWh(int64(d.Import)), Usual: v.locale.aboutKWh(int64(d.Usual)), High: d.Score > 0,
		})
	}
	v.describeWeek(shown)
}

// describeWeek makes the picture: hours down, weekdays across, so that it fits
// on a telephone. Steps go by the root, or one boiler would leave the rest of
// the day white.
func (v *visit) describeWeek(shown *insightsView) {
	w := &shown.Insights.Week
	most := 1.0
	for d := range w {
		name := dayNames[v.locale.lang][(d+1)%7]
		shown.Days = append(shown.Days, name)
		for _, c := range w[d] {
			most = max(most, float64(c.Power))
		}
	}
	for hour := range 24 {
		row := weekRow{Hour: fmt.Sprintf("%02d", hour)}
		for d := range w {
			c := w[d][hour]
			cell := weekCell{Class: "heat-none"}
			if c.Hours > 0 {
				cell = weekCell{
					Class: fmt.Sprintf("heat-%d", min(heatSteps-1, int(heatSteps*math.Sqrt(float64(c.Power)/most)))),
					Text:  v.locale.number(strconv.FormatFloat(float64(int64(c.Power))/1000, 'f', 1, 64)),
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		shown.Week = append(shown.Week, row)
	}
}

// twoDigits rounds to what a figure of this kind can bear.
func twoDigits(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}

// aboutWatts writes a power with two digits.
func (l locale) aboutWatts(w int64) string {
	w = twoDigits(w)
	switch {
	case w < 1000:
		return l.number(strconv.FormatInt(w, 10)) + "\u00a0W"
	case w < 10_000:
		return l.number(strconv.FormatFloat(float64(w)/1000, 'f', 1, 64)) + "\u00a0kW"
	default:
		return l.number(strconv.FormatInt(w/1000, 10)) + "\u00a0kW"
	}
}

// aboutKWh writes an energy of a day: to a tenth of a kWh below 10.
func (l locale) aboutKWh(wh int64) string {
	digits := 0
	if wh < 10_000 {
		digits = 1
	}
	return l.number(strconv.FormatFloat(float64(wh)/1000, 'f', digits, 64)) + "\u00a0kWh"
}

// hours writes how many hours something lasts.
func (l locale) hours(d time.Duration) string {
	return l.number(strconv.FormatInt(int64(d/time.Hour), 10))
}

// share writes a share in whole percents.
func (l locale) share(percent int) string {
	if l.lang == german {
		return strconv.Itoa(percent) + " %"
	}
	return strconv.Itoa(percent) + "%"
}
