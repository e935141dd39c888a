package invoice

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Language is a language with the way in which it writes numbers and dates.
type Language struct {
	Tag            string // BCP 47
	group, decimal string // of numbers
	months         [12]string
	dayDot         bool // "5. November" and not "5 November"
	words          words
}

// words are the fixed texts. Those with a % are formats.
type words struct {
	bill, correction               string
	meter, period, tariff          string
	reference, issuer, imported    string
	exported, pay, credit          string
	item, quantity, price, amount  string
	total, perSeries, withheld     string
	tier, minutes, of, every       string
	lines, other                   string
	history                        string
	corrects, correctsKnown        string
	carries, measured, estimated   string
	unbilled, told                 string
	notes, check                   string
	scan, tooLong, address, attach string
	open, save                     string
	page                           string
	kinds, units, perUnit, remarks map[string]string
}

// ParseLanguage finds a language by its tag.
func ParseLanguage(tag string) (Language, error) {
	for _, l := range languages() {
		if strings.EqualFold(l.Tag, tag) {
			return l, nil
		}
	}
	return Language{}, fmt.Errorf("%q: want one of %s", tag, strings.Join(Languages(), ", "))
}

// Languages lists the tags that there are.
func Languages() []string {
	var tags []string
	for _, l := range languages() {
		tags = append(tags, l.Tag)
	}
	return tags
}

func languages() []Language {
	german := [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}
	var english [12]string
	for m := range english {
		english[m] = time.Month(m + 1).String()
	}
	return []Language{
		{Tag: "en", group: ",", decimal: ".", months: english, words: englishWords()},
		{Tag: "de", group: ".", decimal: ",", months: german, dayDot: true, words: germanWords("Preis je Einheit")},
		{Tag: "de-CH", group: "’", decimal: ".", months: german, dayDot: true, words: germanWords("Preis pro Einheit")},
	}
}

func englishWords() words {
	return words{
		bill: "Electricity bill", correction: "Corrected electricity bill",
		meter: "Meter", period: "Period", tariff: "Tariff", reference: "Bill", issuer: "Calculated by",
		imported: "Drawn from the grid", exported: "Fed into the grid", pay: "To pay", credit: "In your favour",
		item: "Item", quantity: "Quantity", price: "Price", amount: "Amount", total: "Total",
		perSeries: "by price list", withheld: "not told", tier: "tier %d", minutes: "mean of %d minutes",
		of: "of the month: %s", every: "on %s",
		lines: "What this bill is made of", other: "%d more lines",
		history:       "This bill and earlier ones",
		corrects:      "This bill replaces the bill %s.",
		correctsKnown: "This bill replaces the bill %s, whose %s are taken off.",
		carries:       "The quantities hold what readings that came late have changed in the bill %s.",
		measured:      "All %s intervals of the period were measured; none is estimated.",
		estimated:     "%s of %s intervals of the period (%s) are estimated, since the meter's readings of them are missing.",
		unbilled:      "For %s of the period there is no energy in this bill, since the meter's count across it is not known.",
		told:          "The quantity of “%s” is not told, since a bill tells no more of single hours than the rules of disclosure allow (%s).",
		notes:         "Notes", check: "Check this bill yourself",
		scan:    "The code holds the whole bill as it was signed. The page behind it checks the signature and all sums on your own device: what comes after the # in its address is sent to nobody.",
		tooLong: "This bill has %s characters with its address, and a code holds at most %s. So there is no code here. Open the page and give it the file bill.json, which comes with this invoice.",
		address: "Page:", attach: "The signed bill is the file bill.json in this document.",
		open: "Open the page with this bill", save: "Save the signed bill", page: "Page %d of {nb}",
		kinds: map[string]string{
			"import": "Energy drawn", "export": "Energy fed in", "standing": "Standing charge", "grid": "Grid fee",
			"levy": "Levy", "demand": "Highest demand", "minimum": "Up to the minimum", "credit": "Credit", "tax": "Tax",
		},
		units:   map[string]string{"day": "days", "month": "months"},
		perUnit: map[string]string{"day": "day", "month": "month"},
		remarks: map[string]string{
			"longer-interval": "longer intervals than the tariff's", "ratchet": "by an earlier month's demand",
		},
	}
}

func germanWords(price string) words {
	return words{
		bill: "Stromrechnung", correction: "Berichtigte Stromrechnung",
		meter: "Zähler", period: "Zeitraum", tariff: "Tarif", reference: "Rechnung", issuer: "Berechnet von",
		imported: "Aus dem Netz bezogen", exported: "Ins Netz eingespeist", pay: "Zu zahlen", credit: "Zu Ihren Gunsten",
		item: "Position", quantity: "Menge", price: price, amount: "Betrag", total: "Summe",
		perSeries: "nach Preisliste", withheld: "nicht genannt", tier: "Stufe %d", minutes: "Mittel über %d Minuten",
		of: "Anteil am Monat: %s", every: "auf %s",
		lines: "Woraus diese Rechnung besteht", other: "%d weitere Zeilen",
		history:       "Diese Rechnung und frühere",
		corrects:      "Diese Rechnung ersetzt die Rechnung %s.",
		correctsKnown: "Diese Rechnung ersetzt die Rechnung %s, deren %s angerechnet sind.",
		carries:       "Die Mengen enthalten, was verspätete Messwerte an der Rechnung %s geändert haben.",
		measured:      "Alle %s Intervalle des Zeitraums wurden gemessen; keines ist geschätzt.",
		estimated:     "%s von %s Intervallen des Zeitraums (%s) sind geschätzt, weil die Messwerte des Zählers fehlen.",
		unbilled:      "Für %s des Zeitraums enthält diese Rechnung keine Energie, weil der Zählerstand darüber hinweg nicht bekannt ist.",
		told:          "Die Menge von „%s“ wird nicht genannt, weil eine Rechnung über einzelne Stunden nicht mehr verrät, als die Regeln der Offenlegung erlauben (%s).",
		notes:         "Hinweise", check: "Prüfen Sie diese Rechnung selbst",
		scan:    "Der Code enthält die ganze Rechnung, wie sie signiert wurde. Die Seite dahinter prüft Signatur und alle Summen auf Ihrem eigenen Gerät: Was in ihrer Adresse nach dem # steht, erhält niemand.",
		tooLong: "Diese Rechnung hat mit ihrer Adresse %s Zeichen, ein Code fasst höchstens %s. Darum steht hier keiner. Öffnen Sie die Seite und geben Sie ihr die Datei bill.json, die dieser Rechnung beiliegt.",
		address: "Seite:", attach: "Die signierte Rechnung liegt als Datei bill.json in diesem Dokument.",
		open: "Die Seite mit dieser Rechnung öffnen", save: "Die signierte Rechnung speichern", page: "Seite %d von {nb}",
		kinds: map[string]string{
			"import": "Bezogene Energie", "export": "Eingespeiste Energie", "standing": "Grundpreis", "grid": "Netznutzung",
			"levy": "Abgabe", "demand": "Höchste Leistung", "minimum": "Bis zum Mindestbetrag", "credit": "Gutschrift", "tax": "Steuer",
		},
		units:   map[string]string{"day": "Tage", "month": "Monate"},
		perUnit: map[string]string{"day": "Tag", "month": "Monat"},
		remarks: map[string]string{
			"longer-interval": "längere Intervalle als im Tarif", "ratchet": "nach der Leistung eines früheren Monats",
		},
	}
}

// number writes an exact decimal with its own digits.
func (l *Language) number(decimal string) string {
	digits, negative := strings.CutPrefix(decimal, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	var groups []string
	for len(whole) > 3 {
		groups = append(groups, whole[len(whole)-3:])
		whole = whole[:len(whole)-3]
	}
	groups = append(groups, whole)
	slices.Reverse(groups)
	out := strings.Join(groups, l.group)
	if fraction != "" {
		out += l.decimal + fraction
	}
	if negative {
		out = "−" + out
	}
	return out
}

// date writes a day.
func (l *Language) date(t time.Time) string {
	dot := ""
	if l.dayDot {
		dot = "."
	}
	return fmt.Sprintf("%d%s %s %d", t.Day(), dot, l.months[t.Month()-1], t.Year())
}

// span writes a period: whole days with the last of them, others with times.
func (l *Language) span(p period) string {
	switch {
	case p.month():
		return fmt.Sprintf("%s %d", l.months[p.from.Month()-1], p.from.Year())
	case p.days():
		return l.date(p.from) + " – " + l.date(p.to.AddDate(0, 0, -1))
	default:
		const clock = " 15:04 -07:00"
		return l.date(p.from) + p.from.Format(clock) + " – " + l.date(p.to) + p.to.Format(clock)
	}
}

// short writes a period where there is little room.
func (l *Language) short(p period) string {
	month := string([]rune(l.months[p.from.Month()-1])[:3])
	if p.month() {
		return month + " " + p.from.Format("06")
	}
	return p.from.Format("2 ") + month + p.from.Format(" 06")
}

// or is a text for a word of the bill, or the word.
func or(texts map[string]string, word string) string {
	if text, ok := texts[word]; ok {
		return text
	}
	return word
}
