package portal

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Privacy keeps what consumers choose for their meters, and erases.
type Privacy interface {
	Choices(ctx context.Context, m wattveil.Meter) (consumer.Choices, error)
	Choose(ctx context.Context, m wattveil.Meter, ch consumer.Choices) error
	Erasable(ctx context.Context, m wattveil.Meter) (consumer.Erasable, error)
	Erase(ctx context.Context, m wattveil.Meter, before time.Time) error
}

var privacyPage = page{name: "privacy", texts: texts{
	"title":     {"Privacy", "Datenschutz"},
	"confirm":   {"Choosing, sharing and erasing need your passkey once more.", "Auswählen, Teilen und Löschen brauchen noch einmal Ihren Passkey."},
	"confirm-b": {"Confirm with your passkey", "Mit Passkey bestätigen"},
	"confirmed": {"Confirmed for the next minutes.", "Für die nächsten Minuten bestätigt."},

	"choices":       {"What you allow", "Was Sie erlauben"},
	"profile":       {"What is kept", "Was gespeichert bleibt"},
	"full":          {"Full profile", "Voller Verlauf"},
	"full-t":        {"Readings stay after they are billed, so that you can look at them, compare and check bills. (TAF 7)", "Messwerte bleiben auch nach der Abrechnung, damit Sie sie ansehen, vergleichen und Rechnungen prüfen können. (TAF 7)"},
	"totals":        {"Bill totals only", "Nur Rechnungssummen"},
	"totals-t":      {"Readings are erased as soon as they are finally billed; of that time only bills are left. Until then they are needed for the bill, and shown here. Bills are not corrected any more. (TAF 1)", "Messwerte werden gelöscht, sobald sie endgültig abgerechnet sind; aus dieser Zeit bleiben nur die Rechnungen. Bis dahin braucht sie die Rechnung, und Sie sehen sie hier. Rechnungen werden nicht mehr berichtigt. (TAF 1)"},
	"keep":          {"Keep readings of the full profile", "Messwerte des vollen Verlaufs aufbewahren"},
	"keep-0":        {"until I erase them", "bis ich sie lösche"},
	"keep-n":        {"%d months after the billed period", "%d Monate nach dem Zeitraum"},
	"corrections":   {"I want no corrections of bills", "Ich will keine Berichtigung von Rechnungen"},
	"corrections-t": {"A bill is final at once, and readings that come late do not change it. Otherwise a bill with estimates can be corrected for 400 days.", "Eine Rechnung ist sofort endgültig, und späte Messwerte ändern sie nicht. Sonst kann eine Rechnung mit Schätzungen 400 Tage lang berichtigt werden."},
	"groups":        {"My meter may be part of group curves", "Mein Zähler darf in Gruppenkurven eingehen"},
	"groups-t":      {"This has no effect yet: no group curves are made here. Without your yes your meter is in none.", "Das hat noch keine Wirkung: Hier werden keine Gruppenkurven gebildet. Ohne Ihr Ja ist Ihr Zähler in keiner."},
	"research":      {"My readings may serve research", "Meine Messwerte dürfen der Forschung dienen"},
	"research-t":    {"This has no effect yet: nothing is given to research. Without your yes nothing of yours will be.", "Das hat noch keine Wirkung: Es geht nichts an die Forschung. Ohne Ihr Ja wird nichts von Ihnen weitergegeben."},
	"save":          {"Save", "Speichern"},
	"choices-end":   {"These choices end when you give the meter up.", "Diese Auswahl endet, wenn Sie den Zähler abgeben."},

	"links":       {"Shared by link", "Per Link geteilt"},
	"links-t":     {"Whoever has a link sees the use of these days, no costs, and nothing else. Give it only to whom you trust: use shows when you are at home.", "Wer einen Link hat, sieht den Verbrauch dieser Tage, keine Kosten und sonst nichts. Geben Sie ihn nur, wem Sie vertrauen: Verbrauch zeigt, wann Sie zu Hause sind."},
	"link-new":    {"Copy the link now; it is not shown again.", "Kopieren Sie den Link jetzt; er wird nicht noch einmal gezeigt."},
	"link-copy":   {"Copy", "Kopieren"},
	"link-copied": {"Copied", "Kopiert"},
	"link-label":  {"Link", "Link"},
	"link-ends":   {"holds until", "gilt bis"},
	"no-links":    {"No link holds.", "Es gilt kein Link."},
	"revoke":      {"Revoke", "Widerrufen"},
	"share":       {"Share some days", "Tage teilen"},
	"from":        {"First day", "Erster Tag"},
	"to":          {"Last day", "Letzter Tag"},
	"lasts":       {"The link holds for", "Der Link gilt"},
	"lasts-1":     {"a day", "einen Tag"},
	"lasts-7":     {"a week", "eine Woche"},
	"lasts-30":    {"30 days", "30 Tage"},
	"lasts-90":    {"90 days", "90 Tage"},
	"link-make":   {"Make a link", "Link erstellen"},

	"export":   {"Take your data with you", "Daten mitnehmen"},
	"export-t": {"Before you erase, you may want a copy.", "Vor dem Löschen möchten Sie vielleicht eine Kopie."},
	"export-b": {"Export", "Export"},

	"erase":        {"Erase readings", "Messwerte löschen"},
	"erase-t":      {"Deletes readings for good, from here and from the files of this server. Bills and what was told to others stay. Your meter keeps its last 40 days itself.", "Löscht Messwerte endgültig, hier und aus den Dateien dieses Servers. Rechnungen und was anderen mitgeteilt wurde, bleiben. Ihr Zähler bewahrt seine letzten 40 Tage selbst auf."},
	"billed":       {"Finally billed up to %s.", "Endgültig abgerechnet bis %s."},
	"not-billed":   {"Nothing is finally billed yet, so nothing can be erased.", "Noch ist nichts endgültig abgerechnet, darum lässt sich nichts löschen."},
	"until":        {"What is before %s can be erased. The 35 days after it stay until the next bill, which may need them for its estimates.", "Was vor dem %s liegt, lässt sich löschen. Die 35 Tage danach bleiben bis zur nächsten Rechnung, die sie für Schätzungen brauchen kann."},
	"nothing-more": {"All that can be erased is.", "Alles, was sich löschen lässt, ist gelöscht."},
	"next":         {"There are no readings that can be erased yet. Some can be once bills are final up to %s: the last 35 days before that stay until the next bill, which may need them for its estimates.", "Noch gibt es keine Messwerte, die sich löschen lassen. Das geht, sobald bis zum %s endgültig abgerechnet ist: Die letzten 35 Tage davor bleiben bis zur nächsten Rechnung, die sie für Schätzungen brauchen kann."},
	"erased":       {"Erased is what is before %s.", "Gelöscht ist, was vor dem %s liegt."},
	"before":       {"Erase what is before", "Löschen, was liegt vor dem"},
	"sure":         {"I want to erase these readings for good", "Ich will diese Messwerte endgültig löschen"},
	"erase-b":      {"Erase", "Löschen"},
	"past":         {"What was erased", "Was gelöscht wurde"},
	"past-when":    {"When", "Wann"},
	"past-before":  {"Readings before", "Messwerte vor dem"},
	"past-number":  {"How many", "Wie viele"},
	"past-why":     {"Why", "Warum"},
	"by-hand":      {"you erased them", "von Ihnen gelöscht"},
	"by-choice":    {"as chosen above", "wie oben gewählt"},
}}

type privacyView struct {
	Confirmed   bool
	ConfirmPath string
	Choices     consumer.Choices
	Keeps       []int
	Links       []linkRow
	NewLink     string
	From, To    string
	Lasts       []linkTime
	Billed      string
	Until       string // what can be erased; empty if nothing can
	UntilDate   string
	Next        string // up to when bills must be final for something to be erased; empty if something can be, or nothing is there
	Erased      string
	Past        []erasureRow
}

type linkRow struct{ Ref, Days, Ends string }

type erasureRow struct {
	At             time.Time
	Before, Number string
	Chosen         bool
}

func privacy(v *visit) error { return v.showPrivacy("") }

func (v *visit) privacyPath() string { return "/m/" + v.meter.Ref + "/privacy" }

// showPrivacy shows the page, with a link that was just made.
func (v *visit) showPrivacy(newLink string) error {
	ctx, ttp, m := v.r.Context(), v.s.cfg.TTP, v.meter.Name
	zone, err := ttp.Zone(ctx, m)
	if err != nil {
		return err
	}
	now := v.s.cfg.Now().In(zone)
	shown := privacyView{
		Confirmed: v.confirmed(), ConfirmPath: confirmPath(v.privacyPath()), Keeps: consumer.KeepMonths[:], Lasts: linkTimes,
		NewLink: newLink, From: now.AddDate(0, 0, -7).Format(dateForm), To: now.AddDate(0, 0, -1).Format(dateForm),
	}
	if shown.Choices, err = ttp.Choices(ctx, m); err != nil {
		return err
	}
	links, err := ttp.Links(ctx, m)
	if err != nil {
		return err
	}
	for _, l := range links {
		days := dayRange{l.From.In(zone), l.To.In(zone)}
		shown.Links = append(shown.Links, linkRow{l.Ref, days.title(v.locale), v.locale.date(l.Ends.In(zone))})
	}
	if q := v.r.URL.Query(); q.Get("from") != "" { // a link from another page offers its days
		days, err := parseDays(q, zone, consumer.LinkDays)
		if err != nil {
			return err
		}
		shown.From, shown.To = days.from.Format(dateForm), days.last().Format(dateForm)
	}
	e, err := ttp.Erasable(ctx, m)
	if err != nil {
		return err
	}
	v.describeErasable(&shown, e, zone)
	return v.render(200, &privacyPage, shown)
}

// describeErasable says what is billed, what can be erased and what was. What
// is erased ends at midnight UTC, so its days are those of UTC.
func (v *visit) describeErasable(shown *privacyView, e consumer.Erasable, zone *time.Location) {
	if !e.Billed.IsZero() {
		shown.Billed = v.locale.date(e.Billed.In(zone))
	}
	switch {
	case e.First.IsZero() || e.Billed.IsZero():
	case e.First.Before(e.Until):
		shown.Until, shown.UntilDate = v.locale.date(e.Until.UTC()), e.Until.UTC().Format(dateForm)
	default:
		end := e.First.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1).Add(aroundBill)
		shown.Next = v.locale.date(end.Add(24*time.Hour - 1).In(zone)) // bills end at local midnights: the first from then on
	}
	if !e.Erased.IsZero() {
		shown.Erased = v.locale.date(e.Erased.UTC())
	}
	for _, p := range e.Past {
		shown.Past = append(shown.Past, erasureRow{
			p.At.In(zone), v.locale.date(p.Before.UTC()), v.locale.number(strconv.FormatInt(p.Readings, 10)), p.Chosen})
	}
}

// choose keeps what the form says.
func choose(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	ch := consumer.Choices{
		Profile:       consumer.Profile(v.r.PostFormValue("profile")),
		NoCorrections: v.r.PostFormValue("corrections") == "none",
		Groups:        v.r.PostFormValue("groups") == "yes",
		Research:      v.r.PostFormValue("research") == "yes",
	}
	if ch.Profile != consumer.Full && ch.Profile != consumer.Totals {
		return badRequest{"profile", text{"full or totals", "full oder totals"}}
	}
	months, err := strconv.Atoi(v.r.PostFormValue("keep"))
	if err != nil || !slices.Contains(consumer.KeepMonths[:], months) {
		return badRequest{"keep", text{"0, 3, 13, 25 or 37 months", "0, 3, 13, 25 oder 37 Monate"}}
	}
	ch.KeepMonths = months
	if err := v.s.cfg.TTP.Choose(v.r.Context(), v.meter.Name, ch); err != nil {
		return err
	}
	return v.redirect(v.privacyPath())
}

// erase erases up to a day.
func erase(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	if v.r.PostFormValue("sure") != "yes" {
		return badRequest{"sure", text{"a tick in the box beside it", "ein Häkchen im Kästchen daneben"}}
	}
	before, err := parseDay(url.Values{"before": {v.r.PostFormValue("before")}}, "before", time.UTC)
	if err != nil {
		return err
	}
	if err := v.s.cfg.TTP.Erase(v.r.Context(), v.meter.Name, before); err != nil {
		return err
	}
	return v.redirect(v.privacyPath() + "#erase")
}
