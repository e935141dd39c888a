package portal

import (
	"fmt"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

var meterPage = page{name: "meter", texts: texts{
	"title":            {"Meter", "Zähler"},
	"last":             {"Last reading", "Letzter Messwert"},
	"none":             {"none yet", "noch keiner"},
	"every":            {"A reading every %s", "Ein Messwert alle %s"},
	"silent":           {"No reading for %s. The meter keeps what it measures for 40 days and sends it later.", "Seit %s kein Messwert. Der Zähler bewahrt 40 Tage auf, was er misst, und sendet es später."},
	"clock":            {"The meter says that its clock may be wrong.", "Der Zähler sagt, dass seine Uhr falsch gehen könnte."},
	"trust":            {"Keys", "Schlüssel"},
	"confirmed":        {"Confirmed: a claim code or a pinned key has shown that nobody between the meter and us reads along.", "Bestätigt: Ein Zugangscode oder ein hinterlegter Schlüssel hat gezeigt, dass niemand zwischen Zähler und uns mitliest."},
	"unconfirmed":      {"Not confirmed since the meter began with new keys. Show its claim code again and type it here.", "Nicht bestätigt, seit der Zähler mit neuen Schlüsseln begonnen hat. Lassen Sie sich den Zugangscode neu anzeigen und geben Sie ihn hier ein."},
	"claim":            {"Type the claim code", "Zugangscode eingeben"},
	"fingerprint":      {"Fingerprint of the meter's key statement", "Fingerabdruck der Schlüsselurkunde des Zählers"},
	"root":             {"Fingerprint of our root key, which a meter can pin", "Fingerabdruck unseres Wurzelschlüssels, den ein Zähler hinterlegen kann"},
	"serial":           {"Serial of the key statement", "Seriennummer der Schlüsselurkunde"},
	"epoch":            {"Session keys number %d, since %s", "Sitzungsschlüssel Nummer %d, seit %s"},
	"number":           {"Number under which we know the meter (an-ID)", "Nummer, unter der wir den Zähler kennen (an-ID)"},
	"receipts":         {"Receipts", "Quittungen"},
	"receipt-t":        {"Once a day we tell the meter which of its readings are safe here.", "Einmal am Tag sagen wir dem Zähler, welche seiner Messwerte hier sicher sind."},
	"receipt":          {"Last receipt on %s: safe from %s to %s.", "Letzte Quittung am %s: sicher von %s bis %s."},
	"no-receipt":       {"No receipt yet.", "Noch keine Quittung."},
	"late-receipt":     {"The last receipt is more than 3 days old.", "Die letzte Quittung ist über 3 Tage alt."},
	"gaps":             {"Missing readings", "Fehlende Messwerte"},
	"no-gaps":          {"None that the last receipt named.", "Keine, die die letzte Quittung nannte."},
	"from":             {"From", "Von"},
	"to":               {"To", "Bis"},
	"events":           {"Events", "Ereignisse"},
	"no-events":        {"None.", "Keine."},
	"when":             {"When", "Wann"},
	"what":             {"What", "Was"},
	"ev-keys":          {"New session keys", "Neue Sitzungsschlüssel"},
	"ev-counter-reuse": {"A counter was used twice; the session keys were closed", "Ein Zähler wurde zweimal benutzt; die Sitzungsschlüssel wurden gesperrt"},
	"ev-claim-failed":  {"Somebody typed a wrong claim code", "Jemand hat einen falschen Zugangscode eingegeben"},
	"ev-conflict":      {"Readings came again with other values; the first ones count", "Messwerte kamen noch einmal mit anderen Werten; die ersten zählen"},
	"ev-clock":         {"The meter said that its clock may be wrong", "Der Zähler meldete, dass seine Uhr falsch gehen könnte"},
	"ev-restart":       {"The meter started again", "Der Zähler hat neu gestartet"},
	"ev-tamper":        {"The meter reported that it was opened", "Der Zähler meldete, dass er geöffnet wurde"},
	"ev-other":         {"Event %s", "Ereignis %s"},
	"ev-until":         {"%s, until %s", "%s, bis %s"},
	"ev-times":         {"%s (%d times that day)", "%s (%d-mal an diesem Tag)"},
	"events-t":         {"Of the keys all that is kept, of the readings those of the last 40 days.", "Zu den Schlüsseln alles, was gespeichert ist, zu den Messwerten die letzten 40 Tage."},
	"second":           {"%d seconds", "%d Sekunden"},
	"minutes":          {"%d minutes", "%d Minuten"},
	"hours":            {"%d hours", "%d Stunden"},
	"days":             {"%d days", "%d Tage"},
}}

type meterView struct {
	consumer.Standing
	AnID        string
	Every       string
	Silent      string // how long, if that is unusual
	LateReceipt bool
	Rows        []eventRow
}

type eventRow struct {
	At   time.Time
	What string
}

const (
	silentAfter      = 3 * time.Hour
	receiptLateAfter = 3 * 24 * time.Hour
)

// meterStanding shows the meter's last reading, keys, receipts and events.
func meterStanding(v *visit) error {
	s, err := v.s.cfg.TTP.Standing(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	localise(&s)
	now := v.s.cfg.Now()
	shown := meterView{
		Standing: s, AnID: v.meter.Name.Pseudonym.String(),
		Every:       v.duration(s.Resolution.Duration()),
		LateReceipt: !s.Receipt.IsZero() && now.Sub(s.Receipt) > receiptLateAfter,
	}
	if silent := now.Sub(s.LastReading); !s.LastReading.IsZero() && silent > max(silentAfter, 3*s.Resolution.Duration()) {
		shown.Silent = v.duration(silent)
	}
	events, err := v.s.cfg.TTP.Events(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	for _, e := range events {
		shown.Rows = append(shown.Rows, eventRow{e.At.In(s.Zone), v.eventText(e, s.Zone)})
	}
	return v.render(200, &meterPage, shown)
}

// eventText says what happened.
func (v *visit) eventText(e consumer.Event, zone *time.Location) string {
	say := func(key string, args ...any) string {
		return fmt.Sprintf(meterPage.texts[key].in(v.locale.lang), args...)
	}
	what := say("ev-other", e.Kind)
	if known, ok := meterPage.texts["ev-"+e.Kind]; ok {
		what = known.in(v.locale.lang)
	}
	switch until := e.Until.In(zone); {
	case e.Until.After(e.At):
		return say("ev-until", what, v.locale.date(until)+", "+v.locale.clock(until))
	case e.Count > 1:
		return say("ev-times", what, e.Count)
	default:
		return what
	}
}

// localise puts all times into the meter's zone.
func localise(s *consumer.Standing) {
	for _, at := range []*time.Time{&s.LastReading, &s.KeyedSince, &s.Receipt, &s.DurableFrom, &s.DurableTo} {
		if !at.IsZero() {
			*at = at.In(s.Zone)
		}
	}
	for i := range s.Gaps {
		s.Gaps[i] = consumer.Span{From: s.Gaps[i].From.In(s.Zone), To: s.Gaps[i].To.In(s.Zone)}
	}
}

// duration writes how long something lasts, in one unit.
func (v *visit) duration(d time.Duration) string {
	key, unit := "second", time.Second
	switch {
	case d >= 48*time.Hour:
		key, unit = "days", 24*time.Hour
	case d >= 2*time.Hour:
		key, unit = "hours", time.Hour
	case d >= 2*time.Minute:
		key, unit = "minutes", time.Minute
	}
	return fmt.Sprintf(meterPage.texts[key].in(v.locale.lang), int64(d/unit))
}
