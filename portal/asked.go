package portal

import (
	"context"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Disclosures keeps what was told of meters, and to whom.
type Disclosures interface {
	Asked(ctx context.Context, m wattveil.Meter) (consumer.Asked, error)
}

var askedPage = page{name: "asked", texts: texts{
	"title":     {"Who asked", "Wer gefragt hat"},
	"lead":      {"Everything that your utility was told about this meter stands here, and everything that it was refused. Bills tell it sums, and no single reading.", "Hier steht alles, was Ihr Versorger über diesen Zähler erfahren hat, und alles, was ihm verweigert wurde. Rechnungen sagen ihm Summen und keinen einzelnen Messwert."},
	"none":      {"Nobody has asked for anything yet.", "Bisher hat niemand nach etwas gefragt."},
	"who":       {"Asked by your utility, %s, on %s", "Gefragt von Ihrem Versorger %s am %s"},
	"again":     {"and %d times in all, last on %s", "und insgesamt %d-mal, zuletzt am %s"},
	"period":    {"About %s, by tariff %s", "Über %s, nach Tarif %s"},
	"bill":      {"Bill", "Rechnung"},
	"correct":   {"Correction", "Berichtigung"},
	"refusal":   {"Refused", "Verweigert"},
	"unsettled": {"Difference not told", "Differenz nicht mitgeteilt"},
	"unset-t":   {"Readings that came late have changed an earlier bill. Neither a correction nor a later bill may tell so without telling too much, so it stays as it was.", "Später gekommene Messwerte haben eine frühere Rechnung geändert. Weder eine Berichtigung noch eine spätere Rechnung darf das sagen, ohne zu viel zu verraten; darum bleibt sie, wie sie war."},
	"told":      {"Told", "Mitgeteilt"},
	"withheld":  {"Withheld", "Zurückgehalten"},
	"why":       {"Why", "Warum"},
	"see":       {"See the bill", "Rechnung ansehen"},
}}

// ruleTexts say why the disclosure gate refuses something (spec/gate.md section
// 3).
var ruleTexts = texts{
	"not-over":          {"The time was not over.", "Die Zeit war noch nicht vorbei."},
	"too-old":           {"The time was too long ago.", "Die Zeit lag zu weit zurück."},
	"overlap":           {"Another bill is about a part of the same time.", "Eine andere Rechnung betrifft einen Teil derselben Zeit."},
	"corrects-nothing":  {"There was no bill to correct.", "Es gab keine Rechnung zu berichtigen."},
	"corrected-already": {"The bill had been corrected once, which is all that is allowed.", "Die Rechnung war schon einmal berichtigt; öfter ist nicht erlaubt."},
	"correction-late":   {"It was too late for a correction.", "Für eine Berichtigung war es zu spät."},
	"correction-early":  {"It was too early for a correction.", "Für eine Berichtigung war es zu früh."},
	"tenancy-ended":     {"An earlier bill was the last one of a tenancy.", "Eine frühere Rechnung war die letzte eines Mietverhältnisses."},
	"tariff-ended":      {"An earlier bill was the last one by the tariff.", "Eine frühere Rechnung war die letzte nach dem Tarif."},
	"registered":        {"The tariff was registered after the time had begun, when its prices could be chosen to single something out.", "Der Tarif wurde erst hinterlegt, als die Zeit schon lief; da lassen sich Preise so wählen, dass sie etwas herausheben."},
	"bills-per-year":    {"There were too many bills in a year.", "Es waren zu viele Rechnungen in einem Jahr."},
	"short":             {"The time was too short for a bill.", "Die Zeit war zu kurz für eine Rechnung."},
	"short-per-year":    {"There were too many short bills in a year.", "Es waren zu viele kurze Rechnungen in einem Jahr."},
	"demand-again":      {"The highest power of this month had been told already.", "Die höchste Leistung dieses Monats war schon mitgeteilt."},
	"demand-window":     {"The times for which the highest power was asked were too short.", "Die Zeiten, für die nach der höchsten Leistung gefragt war, waren zu kurz."},
	"demand-count":      {"Too many highest powers of one month.", "Zu viele höchste Leistungen eines Monats."},
	"quantities":        {"It would have told too many quantities at once.", "Es hätte zu viele Mengen auf einmal verraten."},
	"price":             {"Prices were so high that an amount of money would give away single uses.", "Die Preise waren so hoch, dass ein Geldbetrag einzelne Verbräuche verraten würde."},
	"reveal":            {"Together with all that was told before, it would give away too much of some single hour.", "Zusammen mit allem Früheren würde es zu viel von einer einzelnen Stunde verraten."},
}

type askedView struct {
	Who    string
	Rows   []askedRow
	Limits []consumer.Limit
}

type askedRow struct {
	Kind     string // key of the text
	Period   string
	Tariff   string
	At       time.Time
	Last     time.Time
	Times    int
	Told     string
	Withheld []withheldRow
	Why      string
	Path     string // of the bill
}

type withheldRow struct{ What, Why string }

// asked shows what was told of a meter, and refused.
func asked(v *visit) error {
	a, err := v.s.cfg.TTP.Asked(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	shown := askedView{Who: a.Who, Limits: a.Limits}
	for i := len(a.List) - 1; i >= 0; i-- {
		d := &a.List[i]
		row := askedRow{
			Kind: askedKey(d.Kind), Tariff: d.Tariff, At: d.At.In(a.Zone), Last: d.Last.In(a.Zone), Times: d.Times, Why: v.rule(d.Rule),
			Period: v.locale.date(d.From.In(a.Zone)) + " – " + v.locale.date(d.To.Add(-time.Second).In(a.Zone)),
		}
		var told []string
		for _, name := range d.Told {
			told = append(told, v.quantity(name))
		}
		row.Told = strings.Join(told, ", ")
		for _, w := range d.Withheld {
			name, rule, _ := strings.Cut(w, ":")
			row.Withheld = append(row.Withheld, withheldRow{v.quantity(name), v.rule(rule)})
		}
		if d.Bill != "" {
			row.Path = "/m/" + v.meter.Ref + "/bill/" + d.Bill
		}
		shown.Rows = append(shown.Rows, row)
	}
	return v.render(200, &askedPage, shown)
}

func askedKey(k consumer.DisclosureKind) string {
	switch k {
	case consumer.ToldBill:
		return "bill"
	case consumer.ToldCorrection:
		return "correct"
	case consumer.Unsettled:
		return "unsettled"
	default:
		return "refusal"
	}
}

// rule says why the gate refuses.
func (v *visit) rule(name string) string {
	if known, ok := ruleTexts[name]; ok {
		return known.in(v.locale.lang)
	}
	return name
}

// quantity names what was told: a kind of lines and what tells it from others.
func (v *visit) quantity(name string) string {
	kind, rest, _ := strings.Cut(name, " ")
	rest, sum := strings.CutSuffix(rest, " amount")
	if sum {
		rest += " (" + lineTexts["sum"].in(v.locale.lang) + ")"
	}
	return strings.TrimSpace(v.lineKind(kind) + " " + rest)
}
