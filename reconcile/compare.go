package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// Result is how a feeder compares with the bills of its meters.
type Result struct {
	Feeder     string `json:"feeder"`
	From       string `json:"from"`
	To         string `json:"to"`
	Meters     int    `json:"meters"`
	Unbilled   int    `json:"without_bill"` // meters whose bills leave a part of the period out
	FeederKWh  string `json:"feeder_kwh"`   // net of what went back to the grid
	BillsKWh   string `json:"bills_kwh"`    // the same
	Difference string `json:"difference_kwh"`
	Percent    string `json:"difference_percent,omitempty"` // of the feeder; none if it counted nothing
	Notable    bool   `json:"notable"`                      // beyond the threshold, or not to be told
}

// account is what is known of a meter.
type account struct {
	id    wattveil.MeterID
	bills []span
}

// span is a bill's period and energy.
type span struct {
	from, to time.Time
	net      tariff.Decimal
	told     bool // the bill says its energies
}

// Compare sums the bills that lie within the period and compares them with the
// feeders. A bill that another one corrects does not count. A feeder is notable
// if the difference is more than so many percent of what it counted, or if not
// all of its meters have bills for all of the period.
func Compare(feeders []Feeder, places Places, bills []Bill, from, to time.Time, threshold tariff.Decimal) ([]Result, error) {
	accounts, err := sortBills(places, bills, from, to)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(feeders))
	sums := make([]tariff.Decimal, len(feeders))
	place := make(map[string]int)
	for i, f := range feeders {
		place[f.Name] = i
		results[i] = Result{Feeder: f.Name, From: from.Format(time.RFC3339), To: to.Format(time.RFC3339)}
	}
	for _, id := range slices.Sorted(maps.Keys(places)) {
		i := place[places[id]]
		results[i].Meters++
		sum, whole, err := accounts[id].sum(id, from, to)
		if err != nil {
			return nil, err
		}
		sums[i] = sums[i].Add(sum)
		if !whole {
			results[i].Unbilled++
		}
	}
	for i, f := range feeders {
		results[i].compare(f.Energy, sums[i], threshold)
	}
	return results, nil
}

// compare fills in the energies.
func (r *Result) compare(feeder, bills, threshold tariff.Decimal) {
	difference := feeder.Add(bills.Neg())
	r.FeederKWh, r.BillsKWh, r.Difference = feeder.String(), bills.String(), difference.String()
	r.Notable = r.Meters == 0 || r.Unbilled > 0
	if feeder.Sign() == 0 {
		r.Notable = r.Notable || difference.Sign() != 0
		return
	}
	percent := new(big.Rat).Quo(new(big.Rat).Mul(difference.Rat(), big.NewRat(100, 1)), new(big.Rat).Abs(feeder.Rat()))
	r.Percent = tariff.RoundRat(percent, 2).String()
	r.Notable = r.Notable || new(big.Rat).Abs(percent).Cmp(threshold.Rat()) > 0
}

// sortBills gives each meter its bills that count.
func sortBills(places Places, bills []Bill, from, to time.Time) (map[wattveil.MeterID]*account, error) {
	replaced := make(map[string]bool)
	for _, b := range bills {
		replaced[b.Corrects] = true
	}
	accounts := make(map[wattveil.MeterID]*account)
	for _, b := range bills {
		if _, ours := places[b.Meter]; !ours || replaced[bill.HashOf(b.JWS).String()] {
			continue
		}
		s, err := spanOf(b)
		if err != nil {
			return nil, fmt.Errorf("bill of meter %v: %w", b.Meter, err)
		}
		if s.from.Before(from) || s.to.After(to) {
			continue
		}
		a := accounts[b.Meter]
		if a == nil {
			a = &account{id: b.Meter}
			accounts[b.Meter] = a
		}
		a.bills = append(a.bills, s)
	}
	return accounts, nil
}

func spanOf(b Bill) (s span, err error) {
	if s.from, err = time.Parse(time.RFC3339, b.From); err != nil {
		return s, err
	}
	if s.to, err = time.Parse(time.RFC3339, b.To); err != nil {
		return s, err
	}
	if b.ImportKWh == "" || b.ExportKWh == "" {
		return s, nil
	}
	imported, err := tariff.ParseDecimal(b.ImportKWh)
	if err != nil {
		return s, err
	}
	exported, err := tariff.ParseDecimal(b.ExportKWh)
	if err != nil {
		return s, err
	}
	s.net, s.told = imported.Add(exported.Neg()), true
	return s, nil
}

// sum adds up a meter's bills, and tells whether they are of all of the period.
func (a *account) sum(id wattveil.MeterID, from, to time.Time) (sum tariff.Decimal, whole bool, err error) {
	if a == nil {
		return sum, false, nil
	}
	slices.SortFunc(a.bills, func(x, y span) int { return cmp.Or(x.from.Compare(y.from), x.to.Compare(y.to)) })
	whole = true
	at := from
	for _, s := range a.bills {
		if s.from.Before(at) {
			return sum, false, fmt.Errorf("meter %v has two bills for the time from %s: name one tariff with --tariff", id, s.from.Format(time.RFC3339))
		}
		whole = whole && s.from.Equal(at) && s.told
		at = s.to
		sum = sum.Add(s.net)
	}
	return sum, whole && at.Equal(to), nil
}
