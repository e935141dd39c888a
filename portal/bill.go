package portal

import (
	"context"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// Bills keeps the bills of meters.
type Bills interface {
	Bills(ctx context.Context, m wattveil.Meter) ([]consumer.Bill, error)
	BillKeys(ctx context.Context) (jwks []byte, err error)
	BillKeysFor(ctx context.Context, m wattveil.Meter) (consumer.BillKeys, error)
	BillEnergy(ctx context.Context, m wattveil.Meter, b consumer.Bill) (consumer.BillEnergy, error)
}

var billsPage = page{name: "bills", texts: texts{
	"title":     {"Bills", "Rechnungen"},
	"none":      {"There are no bills yet. Your utility asks for them, as a rule once a month.", "Es gibt noch keine Rechnungen. Ihr Versorger fordert sie an, in der Regel einmal im Monat."},
	"period":    {"Period", "Zeitraum"},
	"energy":    {"From the grid", "Bezug"},
	"total":     {"Total", "Summe"},
	"estimated": {"estimated in part", "teilweise geschätzt"},
	"unbilled":  {"time without energy", "Zeit ohne Energie"},
	"corrects":  {"correction", "Berichtigung"},
	"replaced":  {"corrected since", "inzwischen berichtigt"},
	"carries":   {"with a difference of before", "mit einer Differenz von früher"},
	"withheld":  {"energy not told to the utility", "Energie dem Versorger nicht mitgeteilt"},
}}

type billRow struct {
	Path, Period, Tariff, Energy, Total string
	Remarks                             []string // keys of texts
	Correction                          bool
}

// bills lists a meter's bills, the newest first.
func bills(v *visit) error {
	list, err := v.s.cfg.TTP.Bills(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	rows := make([]billRow, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		b := &list[i]
		row := billRow{
			Path: "/m/" + v.meter.Ref + "/bill/" + b.Ref, Period: v.billPeriod(b), Tariff: b.Content.Tariff,
			Total: v.amount(b.Content.Total, b.Content.Currency), Remarks: remarksOn(b, list), Correction: b.Content.Corrects != "",
		}
		if b.Content.ImportKWh != "" {
			row.Energy = v.locale.number(b.Content.ImportKWh) + " kWh"
		}
		rows = append(rows, row)
	}
	return v.render(200, &billsPage, rows)
}

// billPeriod is a bill's period by its first and last day.
func (v *visit) billPeriod(b *consumer.Bill) string {
	return v.locale.date(b.From) + " – " + v.locale.date(b.To.Add(-time.Second))
}

// remarksOn are the keys of what is to be said of a bill.
func remarksOn(b *consumer.Bill, list []consumer.Bill) (keys []string) {
	for _, r := range []struct {
		key  string
		says bool
	}{
		{"corrects", b.Content.Corrects != ""},
		{"replaced", correctionOf(b, list) != nil},
		{"carries", b.Content.Carries != ""},
		{"estimated", b.Content.Estimated > 0},
		{"unbilled", b.Content.UnbilledSeconds > 0},
		{"withheld", b.Content.ImportKWh == ""},
	} {
		if r.says {
			keys = append(keys, r.key)
		}
	}
	return keys
}

// correctionOf is the bill that replaces one; nil if none does.
func correctionOf(b *consumer.Bill, list []consumer.Bill) *consumer.Bill {
	hash := bill.HashOf(b.Document.JWS).String()
	for i := range list {
		if list[i].Content.Corrects == hash {
			return &list[i]
		}
	}
	return nil
}

// named finds a bill by its hash; nil if it is none of the list's.
func named(hash string, list []consumer.Bill) *consumer.Bill {
	for i := range list {
		if hash != "" && bill.HashOf(list[i].Document.JWS).String() == hash {
			return &list[i]
		}
	}
	return nil
}

var billPage = page{name: "bill", texts: texts{
	"title":       {"Bill", "Rechnung"},
	"back":        {"All bills", "Alle Rechnungen"},
	"heading":     {"Bill of %s", "Rechnung für %s"},
	"correction":  {"This corrects an earlier bill of the same time and stands in its place.", "Dies berichtigt eine frühere Rechnung für dieselbe Zeit und steht an ihrer Stelle."},
	"corrected":   {"Readings that came late have changed this bill: a correction stands in its place.", "Später gekommene Messwerte haben diese Rechnung geändert: Eine Berichtigung steht an ihrer Stelle."},
	"see-it":      {"See it", "Ansehen"},
	"carries":     {"The energy of an earlier bill was counted wrongly, as readings were missing. The difference is in the quantities of this one.", "Die Energie einer früheren Rechnung war falsch gezählt, weil Messwerte fehlten. Die Differenz steckt in den Mengen dieser Rechnung."},
	"estimated":   {"%d of its %d intervals are estimated: readings were missing, and only the sum over the gap was measured.", "%d ihrer %d Intervalle sind geschätzt: Messwerte fehlten, und nur die Summe über die Lücke ist gemessen."},
	"unbilled":    {"For %s of this time there can be no readings; no energy is billed for it.", "Für %s dieser Zeit kann es keine Messwerte geben; dafür wird keine Energie berechnet."},
	"withheld":    {"Where quantities would tell too much, the utility was told amounts of money alone.", "Wo Mengen zu viel verraten würden, hat der Versorger nur Geldbeträge erfahren."},
	"total":       {"Total", "Summe"},
	"energy":      {"From the grid", "Bezug"},
	"fed":         {"To the grid", "Einspeisung"},
	"tariff":      {"Tariff", "Tarif"},
	"lines":       {"Lines", "Positionen"},
	"line":        {"What", "Was"},
	"quantity":    {"How much", "Wie viel"},
	"price":       {"Price", "Preis"},
	"amount":      {"Amount", "Betrag"},
	"chart":       {"What it was made from", "Woraus sie entstand"},
	"g-erased":    {"Readings that the bill was made from were erased: what you see here is only what is left.", "Messwerte, aus denen die Rechnung entstand, sind gelöscht: Was Sie hier sehen, ist nur, was übrig ist."},
	"g-late":      {"Readings have come since: what you see here is not quite what the bill was made from.", "Seither sind Messwerte gekommen: Was Sie hier sehen, ist nicht genau das, woraus die Rechnung entstand."},
	"g-other":     {"What you see here is not what the bill was made from, though nothing of it was erased. Check the bill.", "Was Sie hier sehen, ist nicht das, woraus die Rechnung entstand, obwohl nichts davon gelöscht ist. Prüfen Sie die Rechnung."},
	"check":       {"Check it", "Prüfen"},
	"check-t":     {"Your browser computes all of it again: whether we signed it, whether it is in our public log and your utility saw the same log, whether the sums are right, and whether they come from the readings that you see here.", "Ihr Browser rechnet alles nach: ob wir sie unterschrieben haben, ob sie in unserem öffentlichen Protokoll steht und Ihr Versorger dasselbe Protokoll sah, ob die Summen stimmen, und ob sie von den Messwerten kommen, die Sie hier sehen."},
	"check-b":     {"Check this bill", "Diese Rechnung prüfen"},
	"no-script":   {"This takes JavaScript. Without, take the files below and check them with “wattveil bill verify”.", "Dafür braucht es JavaScript. Ohne geht es mit den Dateien unten und „wattveil bill verify“."},
	"trust":       {"The script comes from us too. Who wants to rely on nobody takes the files and the program “wattveil bill verify”, and keeps the keys from another day.", "Auch das Skript kommt von uns. Wer sich auf niemanden verlassen will, nimmt die Dateien und das Programm „wattveil bill verify“ und bewahrt die Schlüssel von einem anderen Tag auf."},
	"holds":       {"The bill holds in all that was checked.", "Die Rechnung hält allem stand, was geprüft wurde."},
	"fails":       {"The bill does not hold. Do not pay it before this is explained; show it to whoever helps consumers where you live.", "Die Rechnung hält der Prüfung nicht stand. Bezahlen Sie nicht, bevor das geklärt ist; zeigen Sie sie dem Verbraucherschutz."},
	"broken":      {"It could not be checked now. Try again.", "Sie konnte gerade nicht geprüft werden. Versuchen Sie es noch einmal."},
	"ok":          {"holds", "stimmt"},
	"failed":      {"does not hold", "stimmt nicht"},
	"skipped":     {"could not be checked", "konnte nicht geprüft werden"},
	"s-erased":    {"not checked: readings of this time were erased", "nicht geprüft: Messwerte dieser Zeit sind gelöscht"},
	"s-late":      {"not checked: readings have come since", "nicht geprüft: Seither sind Messwerte gekommen"},
	"c-signature": {"Signed by this trusted third party", "Von dieser Vertrauensstelle unterschrieben"},
	"c-format":    {"Form of the bill", "Form der Rechnung"},
	"c-sums":      {"Amounts, taxes and total", "Beträge, Steuern und Summe"},
	"c-subject":   {"Bill of this meter", "Rechnung dieses Zählers"},
	"c-log":       {"In the public log", "Im öffentlichen Protokoll"},
	"c-cosign":    {"Your utility saw the same log", "Ihr Versorger sah dasselbe Protokoll"},
	"c-shown":     {"What this page shows is what was signed", "Diese Seite zeigt, was unterschrieben ist"},
	"c-root":      {"Made from exactly these readings", "Genau aus diesen Messwerten gemacht"},
	"c-energy":    {"Energy is the sum of the readings", "Energie ist die Summe der Messwerte"},
	"c-other":     {"Bill", "Rechnung"},
	"files":       {"Files", "Dateien"},
	"f-pdf":       {"Print (PDF)", "Drucken (PDF)"},
	"f-document":  {"The bill with its proof", "Die Rechnung mit ihrem Beweis"},
	"f-opening":   {"Secret of the readings (keep it to yourself)", "Geheimnis der Messwerte (behalten Sie es für sich)"},
	"f-intervals": {"Intervals that it was made from (CSV)", "Intervalle, aus denen sie entstand (CSV)"},
	"f-registers": {"Registers of the meter (CSV)", "Zählerstände (CSV)"},
	"f-tariff":    {"The tariff (JSON)", "Der Tarif (JSON)"},
	"f-keys":      {"Our keys (JWKS)", "Unsere Schlüssel (JWKS)"},
	"f-log":       {"Keys of the log", "Schlüssel des Protokolls"},
	"files-t":     {"Check them with:", "Prüfen Sie sie mit:"},
	"files-e":     {"The intervals are left out: readings of this time were erased, so the bill cannot be computed from them again.", "Die Intervalle fehlen darin: Messwerte dieser Zeit sind gelöscht, darum lässt sich die Rechnung nicht mehr aus ihnen berechnen."},
}}

type billView struct {
	Ref, Base   string
	Period      string
	Content     bill.Bill
	Total       string
	Import      string
	Export      string
	Lines       []lineRow
	Withheld    bool
	UnbilledFor string
	Corrected   string // path of the correction
	Corrects    string // path of what it corrects
	Carries     string // path of the bill whose difference is in it
	Chart       chart
	Changed     string // key of what is to be said of the readings, if they are not the bill's
	Erased      bool
	Verify      string // the command that checks the files
	HasLog      bool
	Script      string // address of the check
}

// findBill is the bill that the path names.
func (v *visit) findBill() (b *consumer.Bill, list []consumer.Bill, err error) {
	if list, err = v.s.cfg.TTP.Bills(v.r.Context(), v.meter.Name); err != nil {
		return nil, nil, err
	}
	for i := range list {
		if list[i].Ref == v.r.PathValue("bill") {
			return &list[i], list, nil
		}
	}
	return nil, nil, consumer.NoBill
}

// showBill shows one bill.
func showBill(v *visit) error {
	b, list, err := v.findBill()
	if err != nil {
		return err
	}
	path := func(other *consumer.Bill) string {
		if other == nil {
			return ""
		}
		return "/m/" + v.meter.Ref + "/bill/" + other.Ref
	}
	shown := billView{
		Ref: b.Ref, Base: path(b), Period: v.billPeriod(b), Content: b.Content, Total: v.amount(b.Content.Total, b.Content.Currency),
		Import: v.optional(b.Content.ImportKWh), Export: v.optional(b.Content.ExportKWh), Lines: v.lineRows(b.Content.Lines, b.Content.Currency),
		Corrected: path(correctionOf(b, list)), Corrects: path(named(b.Content.Corrects, list)), Carries: path(named(b.Content.Carries, list)),
	}
	for _, l := range b.Content.Lines {
		shown.Withheld = shown.Withheld || l.Withheld != ""
	}
	if b.Content.UnbilledSeconds > 0 {
		shown.UnbilledFor = v.duration(time.Duration(b.Content.UnbilledSeconds) * time.Second)
	}
	energy, err := v.s.cfg.TTP.BillEnergy(v.r.Context(), v.meter.Name, *b)
	if err != nil {
		return err
	}
	keys, err := v.s.cfg.TTP.BillKeysFor(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	shown.HasLog, shown.Erased = keys.Log != "", energy.Change == consumer.BillErased
	shown.Changed, shown.Verify = changedKey(&energy), verifyCommand(b, shown.HasLog, !shown.Erased)
	if shown.Chart, err = v.billChart(b); err != nil {
		return err
	}
	if shown.Script, err = v.s.assets.path(checkScript); err != nil {
		return err
	}
	return v.render(200, &billPage, shown)
}

// changedKey is the key of what is to be said where the readings of today are
// not those of a bill.
func changedKey(e *consumer.BillEnergy) string {
	switch {
	case e.Same:
		return ""
	case e.Change == consumer.BillErased:
		return "g-erased"
	case e.Change != "":
		return "g-late"
	default:
		return "g-other"
	}
}

// optional is an energy of a bill that it may not tell.
func (v *visit) optional(kWh string) string {
	if d, err := tariff.ParseDecimal(kWh); err != nil || d.Sign() == 0 {
		return ""
	}
	return v.locale.number(kWh) + " kWh"
}

// billChart is the use of a bill's period, by days or months.
func (v *visit) billChart(b *consumer.Bill) (chart, error) {
	p := period{by: byMonth, from: b.From, to: b.To}
	if b.To.Sub(b.From) > 70*24*time.Hour {
		p.by = byYear
	}
	u, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, consumer.Query{From: p.from, To: p.to, Step: p.step()})
	if err != nil {
		return chart{}, err
	}
	return v.chartOf(p, &u, nil, false), nil
}
