package portal

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// Alerts keeps what consumers want to be told of their meters.
type Alerts interface {
	Alerts(ctx context.Context, m wattveil.Meter) (consumer.Alerts, error)
	SetAlert(ctx context.Context, m wattveil.Meter, kind consumer.AlertKind, limit int64) error
	MarkAlerts(ctx context.Context, m wattveil.Meter) error
}

var alertPage = page{name: "alerts", texts: texts{
	"title":    {"Alerts", "Meldungen"},
	"lead":     {"Set limits, and this page tells when they were passed. Nobody is written to: no address of yours is known here. Look at the mark in the menu.", "Setzen Sie Grenzen, und diese Seite sagt, wann sie überschritten wurden. Es wird niemand angeschrieben: Hier ist keine Adresse von Ihnen bekannt. Achten Sie auf die Zahl im Menü."},
	"raised":   {"What was raised", "Was gemeldet wurde"},
	"none":     {"Nothing so far.", "Bisher nichts."},
	"mark":     {"Mark all as read", "Alle als gelesen markieren"},
	"when":     {"When", "Wann"},
	"what":     {"What", "Was"},
	"new":      {"new", "neu"},
	"settings": {"Limits", "Grenzen"},
	"off":      {"Not set", "Nicht gesetzt"},
	"since":    {"Set on %s", "Gesetzt am %s"},
	"set":      {"Set", "Setzen"},
	"remove":   {"Remove", "Entfernen"},
}}

// alertWords is what is said of a kind of alert.
type alertWords struct{ label, explain, unit, was text }

// alertTexts are those of all kinds. What was raised names value and limit.
var alertTexts = map[consumer.AlertKind]alertWords{
	consumer.AlertDay: {
		label:   text{"More in a day than", "Mehr an einem Tag als"},
		explain: text{"From the grid, from 00:00 to 24:00.", "Bezug von 0 bis 24 Uhr."},
		unit:    text{"kWh", "kWh"},
		was:     text{"%s in a day; your limit was %s", "%s an einem Tag; Ihre Grenze war %s"},
	},
	consumer.AlertHour: {
		label:   text{"More in an hour than", "Mehr in einer Stunde als"},
		explain: text{"From the grid, from full hour to full hour, where all of it was measured.", "Bezug von voller zu voller Stunde, wo alles gemessen ist."},
		unit:    text{"kWh", "kWh"},
		was:     text{"%s in an hour; your limit was %s", "%s in einer Stunde; Ihre Grenze war %s"},
	},
	consumer.AlertBase: {
		label:   text{"Base load above the usual by more than", "Grundlast über der üblichen um mehr als"},
		explain: text{"The base load of a day is what you use in its least hour; if you feed in, in that of the night. Usual is the median of the 28 days before. Something may have been left on, or be broken.", "Die Grundlast eines Tages ist, was Sie in seiner geringsten Stunde verbrauchen; wenn Sie einspeisen, in der der Nacht. Üblich ist der Median der 28 Tage davor. Vielleicht ist etwas angelassen worden oder defekt."},
		unit:    text{"per cent", "Prozent"},
		was:     text{"Base load %s above the usual; your limit was %s", "Grundlast %s über der üblichen; Ihre Grenze war %s"},
	},
	consumer.AlertSilent: {
		label:   text{"No readings for longer than", "Keine Messwerte länger als"},
		explain: text{"The meter keeps what it measures for 40 days and sends it later.", "Der Zähler bewahrt 40 Tage auf, was er misst, und sendet es später."},
		unit:    text{"hours", "Stunden"},
		was:     text{"No readings since then; your limit was %s", "Seither keine Messwerte; Ihre Grenze war %s"},
	},
}

type alertView struct {
	Unread int
	Raised []raisedRow
	Kinds  []alertRow
}

type raisedRow struct {
	When, What string
	New        bool
}

type alertRow struct {
	Kind                 string
	Label, Explain, Unit string
	Limit                string // in the unit of the form; empty if it is not set
	Since                string
	Step, Least, Utmost  string
}

// energyKind tells whether an alert's limit is an energy.
func energyKind(k consumer.AlertKind) bool { return k == consumer.AlertDay || k == consumer.AlertHour }

// alerts shows what was raised, and the limits.
func alerts(v *visit) error {
	a, err := v.s.cfg.TTP.Alerts(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	var shown alertView
	for _, r := range a.Raised {
		if !r.Read {
			shown.Unread++
		}
		row := raisedRow{When: v.locale.date(r.At.In(a.Zone)), What: v.raised(r), New: !r.Read}
		if r.Kind == consumer.AlertHour || r.Kind == consumer.AlertSilent {
			row.When += ", " + v.locale.clock(r.At.In(a.Zone))
		}
		shown.Raised = append(shown.Raised, row)
	}
	for _, k := range consumer.AlertKinds() {
		words, lang := alertTexts[k.Kind], v.locale.lang
		row := alertRow{
			Kind: string(k.Kind), Label: words.label.in(lang), Explain: words.explain.in(lang), Unit: words.unit.in(lang),
			Step: "1", Least: formLimit(k.Kind, k.Least), Utmost: formLimit(k.Kind, k.Utmost),
		}
		if energyKind(k.Kind) {
			row.Step = "0.1"
		}
		for _, set := range a.Set {
			if set.Kind == k.Kind {
				row.Limit, row.Since = formLimit(k.Kind, set.Limit), v.locale.date(set.Since.In(a.Zone))
			}
		}
		shown.Kinds = append(shown.Kinds, row)
	}
	v.meter.Unread = shown.Unread
	return v.render(200, &alertPage, shown)
}

// raised says what an alert found.
func (v *visit) raised(r consumer.Raised) string {
	words := alertTexts[r.Kind]
	was := words.was.in(v.locale.lang)
	switch {
	case r.Kind == consumer.AlertSilent:
		return fmt.Sprintf(was, v.locale.number(strconv.FormatInt(r.Limit, 10))+" "+words.unit.in(v.locale.lang))
	case energyKind(r.Kind):
		return fmt.Sprintf(was, v.locale.kWh(r.Value), v.locale.kWh(r.Limit))
	default:
		percent := func(n int64) string { return v.locale.fraction(tariff.NewDecimal(n, 2)) }
		return fmt.Sprintf(was, percent(r.Value), percent(r.Limit))
	}
}

// formLimit writes a limit as the form's field has it: kWh with a point, or a
// whole number.
func formLimit(k consumer.AlertKind, limit int64) string {
	if !energyKind(k) {
		return strconv.FormatInt(limit, 10)
	}
	text := tariff.NewDecimal(limit, 3).String()
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// parseLimit reads what a consumer typed, within the limits of its kind.
func parseLimit(r consumer.AlertRange, typed string) (int64, error) {
	bad := badRequest{"limit", text{
		fmt.Sprintf("a number from %s to %s", formLimit(r.Kind, r.Least), formLimit(r.Kind, r.Utmost)),
		fmt.Sprintf("eine Zahl von %s bis %s", formLimit(r.Kind, r.Least), formLimit(r.Kind, r.Utmost)),
	}}
	d, err := tariff.ParseDecimal(strings.Replace(strings.TrimSpace(typed), ",", ".", 1))
	if err != nil {
		return 0, bad
	}
	decimals, units := 0, int64(1)
	if energyKind(r.Kind) {
		decimals, units = 3, 1000 // Wh of a kWh
	}
	limit := d.Mul(tariff.NewDecimal(units, 0)).Rat()
	if d.Cmp(tariff.NewDecimal(r.Least, decimals)) < 0 || d.Cmp(tariff.NewDecimal(r.Utmost, decimals)) > 0 || !limit.IsInt() {
		return 0, bad
	}
	return limit.Num().Int64(), nil
}

// setAlert sets or removes an alert.
func setAlert(v *visit) error {
	kind := v.r.PostFormValue("kind")
	for _, r := range consumer.AlertKinds() {
		if string(r.Kind) != kind {
			continue
		}
		var limit int64
		if v.r.PostFormValue("remove") == "" {
			var err error
			if limit, err = parseLimit(r, v.r.PostFormValue("limit")); err != nil {
				return err
			}
		}
		if err := v.s.cfg.TTP.SetAlert(v.r.Context(), v.meter.Name, r.Kind, limit); err != nil {
			return err
		}
		return v.redirect("/m/" + v.meter.Ref + "/alerts")
	}
	return badRequest{"kind", text{"day, hour, base or silent", "day, hour, base oder silent"}}
}

// markAlerts marks what was raised as read.
func markAlerts(v *visit) error {
	if err := v.s.cfg.TTP.MarkAlerts(v.r.Context(), v.meter.Name); err != nil {
		return err
	}
	return v.redirect("/m/" + v.meter.Ref + "/alerts")
}
