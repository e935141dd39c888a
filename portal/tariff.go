package portal

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// Offers tells which tariffs there are, and what a meter's energy would have
// cost by each.
type Offers interface {
	Offers(ctx context.Context, m wattveil.Meter, from, to time.Time) (consumer.Offers, error)
}

var tariffPage = page{name: "tariff", texts: texts{
	"title":      {"Tariff", "Tarif"},
	"yours":      {"Your bills are by this tariff", "Nach diesem Tarif wird abgerechnet"},
	"in-force":   {"Terms of %s", "Bedingungen von %s"},
	"none":       {"Your utility has registered no tariff here yet. It must do so before the time that it bills.", "Ihr Versorger hat hier noch keinen Tarif hinterlegt. Er muss es tun, bevor die Zeit beginnt, die er abrechnet."},
	"valid-from": {"valid from %s", "gültig ab %s"},
	"valid-to":   {"valid from %s to %s", "gültig vom %s bis %s"},
	"validity":   {"It is %s", "Er ist %s"},
	"replaces":   {"It replaces %s.", "Er ersetzt %s."},
	"registered": {"Registered", "Hinterlegt"},
	"bands":      {"Energy", "Energie"},
	"band":       {"Band", "Tarifstufe"},
	"price":      {"You pay for a kWh", "Sie zahlen je kWh"},
	"credit":     {"You get for a kWh", "Sie erhalten je kWh"},
	"when":       {"When which band applies", "Wann welche Tarifstufe gilt"},
	"always":     {"At all times: %s.", "Zu jeder Zeit: %s."},
	"else":       {"at all other times", "zu allen anderen Zeiten"},
	"days":       {"Days", "Tage"},
	"seasons":    {"Season", "Jahreszeit"},
	"times":      {"Time", "Uhrzeit"},
	"all-year":   {"all the year", "das ganze Jahr"},
	"week":       {"A week", "Eine Woche"},
	"week-of":    {"A week in season %s", "Eine Woche in der Jahreszeit %s"},
	"week-rest":  {"A week in the rest of the year", "Eine Woche in der übrigen Zeit des Jahres"},
	"holidays":   {"holidays", "Feiertage"},
	"holiday-t":  {"Holidays are no weekdays: only times that name them apply.", "Feiertage sind keine Wochentage: Nur Zeiten, die sie nennen, gelten."},
	"every-day":  {"every day", "täglich"},
	"other":      {"Fees and taxes", "Gebühren und Steuern"},
	"no-other":   {"There are none.", "Es gibt keine."},
	"what":       {"What", "Was"},
	"by-series":  {"as the price series %s says, hour by hour", "stündlich nach der Preisreihe %s"},
	"a-month":    {"a month", "im Monat"},
	"a-day":      {"a day", "am Tag"},
	"tier-to":    {"up to %s: %s", "bis %s: %s"},
	"tier-rest":  {"above: %s", "darüber: %s"},
	"per-kwh":    {"%s per kWh", "%s je kWh"},
	"per-day":    {"%s per day", "%s pro Tag"},
	"per-month":  {"%s per month", "%s im Monat"},
	"per-kw":     {"%s per kW and month", "%s je kW und Monat"},
	"ratchet":    {"at least %s of the highest of %d months before", "mindestens %s des Höchsten der %d Monate davor"},
	"of-export":  {"to the grid", "eingespeist"},
	"k-demand":   {"Highest power %s, as the mean of %d minutes", "Höchste Leistung %s, als Mittel über %d Minuten"},
	"compare":    {"What you would have paid", "Was Sie bezahlt hätten"},
	"compare-t":  {"Computed from your readings of %s to %s, %s from the grid, with all fees and taxes, as a bill is.", "Aus Ihren Messwerten vom %s bis %s berechnet, %s Bezug, mit allen Gebühren und Steuern wie auf einer Rechnung."},
	"compare-no": {"There are no readings in these months.", "In diesen Monaten gibt es keine Messwerte."},
	"estimated":  {"Some readings of this time are missing; what lies in the gap was estimated.", "Einige Messwerte dieser Zeit fehlen; was in die Lücke fällt, ist geschätzt."},
	"missing":    {"For %s nothing is known; it counts without energy.", "Für %s ist nichts bekannt; das zählt ohne Energie."},
	"tariff":     {"Tariff", "Tarif"},
	"cost":       {"Cost", "Kosten"},
	"difference": {"Against yours", "Gegenüber Ihrem"},
	"f-valid":    {"not valid in all of this time", "nicht in der ganzen Zeit gültig"},
	"f-price":    {"prices of this time are not known", "Preise dieser Zeit sind nicht bekannt"},
	"f-energy":   {"no readings", "keine Messwerte"},
	"f-rating":   {"cannot be computed for this meter", "für diesen Zähler nicht berechenbar"},
	"from":       {"From the month", "Vom Monat"},
	"to":         {"To the month", "Bis zum Monat"},
	"compute":    {"Compute", "Berechnen"},
}}

type tariffView struct {
	Terms      *termsView
	Yours      bool
	Registered time.Time
	From, To   string // months, as the form has them
	Compared   bool
	Span       [3]any // from, to, energy
	Estimated  bool
	Missing    string
	Rows       []offerRow
	Limits     []consumer.Limit
}

type offerRow struct {
	ID, Path   string
	Yours      bool
	Shown      bool // its terms are
	Valid      string
	Cost       string
	Difference string
	Cheaper    bool
	Fault      string // key of the text
}

const monthForm = "2006-01"

// tariffs shows all tariffs, and the terms of one of them.
func tariffs(v *visit) error {
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	now := v.s.cfg.Now().In(zone)
	from, to, err := parseMonths(q, now)
	if err != nil {
		return err
	}
	offers, err := v.s.cfg.TTP.Offers(v.r.Context(), v.meter.Name, from, to)
	if err == nil && !offers.From.Before(offers.To) && q.Get("from") == "" && q.Get("to") == "" {
		from, to = monthOf(now, 0), monthOf(now, 1) // a new meter
		offers, err = v.s.cfg.TTP.Offers(v.r.Context(), v.meter.Name, from, to)
	}
	if err != nil {
		return err
	}
	chosen, err := chooseOffer(offers.List, q.Get("tariff"), now)
	if err != nil {
		return err
	}
	shown := tariffView{Limits: offers.Limits, From: from.Format(monthForm), To: to.Add(-24 * time.Hour).Format(monthForm)}
	if chosen != nil {
		terms := v.termsOf(chosen.Terms)
		shown.Terms, shown.Yours, shown.Registered = &terms, chosen.Yours, chosen.Registered.In(zone)
	}
	v.compareOffers(&shown, offers, chosen)
	return v.render(200, &tariffPage, shown)
}

// monthOf is the start of the month so many after a time's.
func monthOf(at time.Time, n int) time.Time {
	y, m, _ := at.Date()
	return consumer.DayStart(y, m+time.Month(n), 1, at.Location())
}

// parseMonths reads the first and the last month of a span; by default the 12
// before the present one.
func parseMonths(q url.Values, now time.Time) (from, to time.Time, err error) {
	from, to = monthOf(now, -12), monthOf(now, -1)
	for name, at := range map[string]*time.Time{"from": &from, "to": &to} {
		if given := q.Get(name); given != "" {
			month, err := time.ParseInLocation(monthForm, given, now.Location())
			if err != nil || month.Before(earliest) || month.After(latest) {
				return from, to, badRequest{name, text{"a month such as " + now.Format(monthForm), "ein Monat wie " + now.Format(monthForm)}}
			}
			*at = monthOf(month.Add(36*time.Hour), 0)
		}
	}
	to = monthOf(to.Add(36*time.Hour), 1)
	if !from.Before(to) || monthOf(from.Add(36*time.Hour), consumer.MaxOfferMonths).Before(to) {
		return from, to, badRequest{"to", text{
			fmt.Sprintf("a month from the first on, at most %d in all", consumer.MaxOfferMonths),
			fmt.Sprintf("ein Monat vom ersten an, höchstens %d im Ganzen", consumer.MaxOfferMonths),
		}}
	}
	return from, to, nil
}

// chooseOffer is the tariff that is asked for; else the consumer's own, else
// the newest that is valid; nil if there is none.
func chooseOffer(list []consumer.Offer, id string, now time.Time) (chosen *consumer.Offer, err error) {
	for i := range list {
		o := &list[i]
		end, ends := o.Terms.ValidTo()
		valid := !o.Terms.ValidFrom().After(now) && (!ends || end.After(now))
		switch {
		case id != "" && o.Terms.ID() == id:
			return o, nil
		case o.Yours:
			chosen = o
		case chosen == nil || !chosen.Yours && valid:
			chosen = o
		}
	}
	if id != "" {
		return nil, badRequest{"tariff", text{"a tariff of this page", "ein Tarif dieser Seite"}}
	}
	return chosen, nil
}

// compareOffers lists what each tariff would have cost.
func (v *visit) compareOffers(shown *tariffView, offers consumer.Offers, chosen *consumer.Offer) {
	if offers.From.Before(offers.To) {
		shown.Compared, shown.Estimated = true, offers.Estimated > 0
		shown.Span = [3]any{v.locale.date(offers.From.In(offers.Zone)), v.locale.date(offers.To.Add(-time.Second).In(offers.Zone)), v.locale.kWh(int64(offers.Import))}
		if offers.Missing > 0 {
			shown.Missing = v.duration(time.Duration(offers.Missing) * time.Second)
		}
	}
	var yours *consumer.Offer
	for i := range offers.List {
		if offers.List[i].Yours && offers.List[i].Due.Fault == "" {
			yours = &offers.List[i]
		}
	}
	for i := range offers.List {
		o := &offers.List[i]
		q := url.Values{"tariff": {o.Terms.ID()}, "from": {shown.From}, "to": {shown.To}}
		row := offerRow{ID: o.Terms.ID(), Path: "tariff?" + q.Encode(), Yours: o.Yours, Shown: o == chosen, Fault: faultKey(o.Due.Fault)}
		row.Valid = v.validity(o.Terms)
		if o.Due.Fault == "" {
			currency := o.Terms.Currency()
			row.Cost = v.locale.money(o.Due.Total, currency.String(), currency.Decimals())
			if yours != nil && yours != o && yours.Terms.Currency() == currency {
				change := o.Due.Total.Add(yours.Due.Total.Neg())
				row.Difference, row.Cheaper = v.locale.signed(change, currency.String(), currency.Decimals()), change.Sign() < 0
			}
		}
		shown.Rows = append(shown.Rows, row)
	}
}

func (v *visit) validity(t *tariff.Tariff) string {
	if end, ok := t.ValidTo(); ok {
		return v.sayf("valid-to", v.locale.date(t.ValidFrom()), v.locale.date(end.Add(-time.Hour)))
	}
	return v.sayf("valid-from", v.locale.date(t.ValidFrom()))
}

// faultKey is the text that says why something is not priced.
func faultKey(f consumer.Fault) string {
	switch f {
	case "":
		return ""
	case consumer.NotValid:
		return "f-valid"
	case consumer.NoPrice:
		return "f-price"
	case consumer.NoEnergy:
		return "f-energy"
	default:
		return "f-rating"
	}
}
