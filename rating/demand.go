package rating

import (
	"math/big"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// A demandPeak follows the highest mean power of one demand charge.
type demandPeak struct {
	start, length int64 // of the slot that is being filled, seconds
	wh            int64 // that started in it
	months        []monthPeak
}

// monthPeak is the outcome of one month.
type monthPeak struct {
	month  tariff.Month
	watts  int64
	length int64 // seconds; the longest slot
}

const (
	hour         = 3600
	minuteLength = 60
)

// demand adds the intervals of a span to the slots of the charges that apply.
func (s *sum) demand(intervals []wattveil.Interval, span tariff.Span) {
	if span.Day != s.day {
		s.day, s.month = span.Day, tariff.MonthOf(span.Day)
	}
	for place := range s.demands {
		if span.Demands>>place&1 == 0 {
			continue
		}
		nominal := int64(s.t.Demands()[place].Length.Seconds())
		m := s.demands[place].of(s.month, nominal)
		for i := range intervals {
			iv := &intervals[i]
			s.demands[place].add(m, iv, slotLength(nominal, iv.End-iv.Start), span.Offset)
		}
	}
}

// of is the outcome of a month, which is the last or a new one.
func (d *demandPeak) of(month tariff.Month, nominal int64) *monthPeak {
	// A zone may set its clock back across midnight, so a month may come again.
	for i := range d.months {
		if d.months[i].month == month {
			return &d.months[i]
		}
	}
	d.months = append(d.months, monthPeak{month: month, length: nominal})
	d.length = 0
	return &d.months[len(d.months)-1]
}

// slotLength is the length of the slots that an interval is counted in: the
// charge's, or a longer one if the interval is longer, or does not divide it.
func slotLength(nominal, interval int64) int64 {
	if interval > nominal {
		return interval
	}
	for ; nominal < hour && nominal%interval != 0; nominal *= 2 {
	}
	return nominal
}

// add adds one interval to its slot. offset is the clock's, in seconds.
func (d *demandPeak) add(m *monthPeak, iv *wattveil.Interval, length, offset int64) {
	local := (iv.Start + offset) % length
	if local < 0 {
		local += length
	}
	start := iv.Start - local
	if iv.End-iv.Start >= length {
		start = iv.Start // it is a slot itself
	}
	if start != d.start || length != d.length {
		d.start, d.length, d.wh = start, length, 0
	}
	d.wh += int64(iv.Import)
	m.length = max(m.length, length)
	m.watts = max(m.watts, d.wh*hour/length)
}

// peaks are the own figures of all charges and months, rounded as demand lines
// tell them: a ratchet that took finer ones would tell these later. Where a
// ratchet holds a month up its line does not tell the own figure, and that of a
// later month may (spec/gate.md section 3).
func (s *sum) peaks(least tariff.Decimal) []Peak {
	var list []Peak
	for place, d := range s.t.Demands() {
		for _, m := range s.demands[place].months {
			list = append(list, Peak{Demand: d.Name, Month: m.month, Watts: stepUp(m.watts, d.Step, least)})
		}
	}
	return list
}

// figures are what is billed of a charge: the request's, or what was measured
// and what ratchets leave of earlier months.
func (s *sum) figures(place int, r Request, known []Peak) (list Figures) {
	d := s.t.Demands()[place]
	if r.Figures != nil {
		return slices.DeleteFunc(slices.Clone(r.Figures), func(f Figure) bool {
			return f.Demand != d.Name || s.share(place, f.Month).Sign() <= 0
		})
	}
	for _, m := range s.demands[place].months {
		f := Figure{
			Demand: d.Name, Month: m.month, Minutes: int(m.length / minuteLength),
			Watts: stepUp(m.watts, d.Step, r.DemandStep),
		}
		if held := r.HeldUp(d, m.month, known); held > f.Watts {
			f.Watts, f.Held = held, true
		}
		list = append(list, f)
	}
	return list
}

// demandLines bills the figures of all charges and months.
func (s *sum) demandLines(v *invoice, r Request, own []Peak) {
	known := slices.Concat(own, r.Peaks)
	for place, d := range s.t.Demands() {
		for _, f := range s.figures(place, r, known) {
			line := Line{
				Kind: KindDemand, Name: d.Name, Unit: unitPower, Month: f.Month.String(), Minutes: f.Minutes, Note: f.note(d),
			}
			share := tariff.MonthsText(s.share(place, f.Month))
			if share.Cmp(tariff.NewDecimal(1, 0)) != 0 {
				line.Share = share.String()
			}
			v.demand(line, stepUp(f.Watts, d.Step, r.DemandStep), d.Tiers, share)
		}
	}
}

// HeldUp is what a ratchet leaves of own figures of earlier months, in watts and
// rounded up as on a bill: the least that the month's figure is. It is 0 without
// a ratchet. Of what is known, only peaks of the charge within its reach count.
func (r Request) HeldUp(d tariff.Demand, month tariff.Month, known []Peak) int64 {
	return stepUp(ratchet(d, month, known), d.Step, r.DemandStep)
}

// ratchet is the least that earlier months leave of a figure, in watts.
func ratchet(d tariff.Demand, month tariff.Month, known []Peak) int64 {
	if d.Ratchet == nil {
		return 0
	}
	var highest int64
	for _, p := range known {
		if p.Demand == d.Name && p.Month < month && p.Month >= month-tariff.Month(d.Ratchet.Months) {
			highest = max(highest, p.Watts)
		}
	}
	held := new(big.Rat).Mul(d.Ratchet.Fraction.Rat(), new(big.Rat).SetInt64(highest))
	return whole(tariff.RoundRat(held, 0))
}

// stepUp rounds watts up to a multiple of the larger step.
func stepUp(watts int64, steps ...tariff.Decimal) int64 {
	var step int64
	for _, s := range steps {
		step = max(step, whole(s.Mul(tariff.NewDecimal(1000, 0))))
	}
	if step == 0 {
		return watts
	}
	return (watts + step - 1) / step * step
}

// whole is the integer that a decimal without a fraction is.
func whole(d tariff.Decimal) int64 { return d.Rat().Num().Int64() }

// share is the part of a month that the period has, of the days on which a
// charge applies.
func (s *sum) share(place int, month tariff.Month) *big.Rat {
	var days int64
	for day := max(month.First(), s.days.first); day <= min(month.Last(), s.days.last); day++ {
		if s.t.HasDemandOn(place, day) {
			days++
		}
	}
	return big.NewRat(days, month.Days())
}
