package urdb_test

import (
	"encoding/json"
	"math/big"
	"testing"
	"time"
)

// plainRate is a rate as the database has it, for a computation that shares
// nothing with the import and with package rating: hour by hour, period by
// schedule, tier by what has been used so far in the month.
type plainRate struct {
	Energy      [][]plainTier   `json:"energyratestructure"`
	Weekday     [][]int         `json:"energyweekdayschedule"`
	Weekend     [][]int         `json:"energyweekendschedule"`
	TouDemand   [][]plainTier   `json:"demandratestructure"`
	TouWeekday  [][]int         `json:"demandweekdayschedule"`
	TouWeekend  [][]int         `json:"demandweekendschedule"`
	FlatDemand  [][]plainTier   `json:"flatdemandstructure"`
	FlatMonths  []int           `json:"flatdemandmonths"`
	Fixed       json.Number     `json:"fixedchargefirstmeter"`
	FixedUnits  string          `json:"fixedchargeunits"`
	FixedMonth  json.Number     `json:"fixedmonthlycharge"`
	Minimum     json.Number     `json:"mincharge"`
	Coincident  json.RawMessage `json:"coincidentratestructure"`
	Description string          `json:"-"`
}

type plainTier struct {
	Max  json.Number `json:"max"`
	Rate json.Number `json:"rate"`
	Adj  json.Number `json:"adj"`
	Sell json.Number `json:"sell"`
}

// number is 0 for what is missing.
func number(t testing.TB, n json.Number) *big.Rat {
	t.Helper()
	if n == "" {
		return new(big.Rat)
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("%q is not a number", n)
	}
	return r
}

func (p plainTier) price(t testing.TB) *big.Rat {
	return new(big.Rat).Add(number(t, p.Rate), number(t, p.Adj))
}

// hour is the energy of one hour of a home, by the clock of its file.
type hour struct {
	at               time.Time
	imported, export int64 // Wh
}

func weekend(at time.Time) bool { return at.Weekday() == time.Saturday || at.Weekday() == time.Sunday }

// period looks the period of an hour up; where there is one period only, the
// schedule cannot mean another.
func period(weekday, weekendSchedule [][]int, at time.Time, periods int) int {
	schedule := weekday
	if weekend(at) {
		schedule = weekendSchedule
	}
	return min(schedule[at.Month()-1][at.Hour()], periods-1)
}

// cents are the parts of a bill, each rounded to a cent as a line is.
type cents []*big.Rat

func (c *cents) add(amount *big.Rat) {
	rounded, _ := new(big.Rat).SetString(amount.FloatString(2))
	*c = append(*c, rounded)
}

func (c cents) sum() *big.Rat {
	sum := new(big.Rat)
	for _, a := range c {
		sum.Add(sum, a)
	}
	return sum
}

// month prices the hours of one whole month.
func (p plainRate) month(t testing.TB, hours []hour) string {
	t.Helper()
	var bill cents
	p.energy(t, &bill, hours)
	p.fixed(t, &bill, hours)
	p.demand(t, &bill, hours)
	if least := number(t, p.Minimum); bill.sum().Cmp(least) < 0 {
		return least.FloatString(2)
	}
	return bill.sum().FloatString(2)
}

// energy goes through the hours and finds for each Wh the tier that it is in.
func (p plainRate) energy(t testing.TB, bill *cents, hours []hour) {
	used := make([]int64, len(p.Energy))
	inTier := make([]map[int]int64, len(p.Energy))
	given := make([]int64, len(p.Energy))
	for i := range inTier {
		inTier[i] = map[int]int64{}
	}
	for _, h := range hours {
		n := period(p.Weekday, p.Weekend, h.at, len(p.Energy))
		given[n] += h.export
		for left := h.imported; left > 0; {
			tier, part := 0, left
			for ; tier < len(p.Energy[n])-1; tier++ {
				end := new(big.Rat).Mul(number(t, p.Energy[n][tier].Max), big.NewRat(1000, 1)).Num().Int64()
				if used[n] < end {
					part = min(left, end-used[n])
					break
				}
			}
			inTier[n][tier] += part
			used[n] += part
			left -= part
		}
	}
	for n, tiers := range p.Energy {
		for i, tier := range tiers {
			bill.add(new(big.Rat).Mul(tier.price(t), big.NewRat(inTier[n][i], 1000)))
		}
		bill.add(new(big.Rat).Mul(number(t, tiers[0].Sell), big.NewRat(-given[n], 1000)))
	}
}

func (p plainRate) fixed(t testing.TB, bill *cents, hours []hour) {
	if p.Fixed == "" {
		bill.add(number(t, p.FixedMonth))
		return
	}
	charge := number(t, p.Fixed)
	if p.FixedUnits == "$/day" {
		first := hours[0].at
		days := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		charge.Mul(charge, big.NewRat(int64(days), 1))
	}
	bill.add(charge)
}

// demand finds the highest hour of each period and of the month. The homes have
// hours, so that is the mean that the demand is.
func (p plainRate) demand(t testing.TB, bill *cents, hours []hour) {
	highest := make([]int64, len(p.TouDemand))
	var flat int64
	for _, h := range hours {
		flat = max(flat, h.imported)
		if len(p.TouDemand) > 0 {
			n := period(p.TouWeekday, p.TouWeekend, h.at, len(p.TouDemand))
			highest[n] = max(highest[n], h.imported)
		}
	}
	for n, tiers := range p.TouDemand {
		bill.add(new(big.Rat).Mul(tiers[0].price(t), big.NewRat(highest[n], 1000)))
	}
	if len(p.FlatDemand) > 0 {
		tier := p.FlatDemand[p.FlatMonths[hours[0].at.Month()-1]][0]
		bill.add(new(big.Rat).Mul(tier.price(t), big.NewRat(flat, 1000)))
	}
}
