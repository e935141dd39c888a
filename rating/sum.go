package rating

import (
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// energy is a band's sum in Wh.
type energy struct{ imported, exported int64 }

// A sum adds up intervals by band.
type sum struct {
	t        *tariff.Tariff
	cursor   tariff.Cursor
	nominal  int64 // seconds
	from, to int64 // Unix seconds
	energy   []energy
	days     days
	spot     []spot       // by band; nil if the tariff names no price series
	demands  []demandPeak // by place in the tariff's list
	month    tariff.Month // of day, if there are demands
	day      int64        // whose month is in month
}

// maxIntervalWh bounds the energy of one interval: what a register holds.
const maxIntervalWh = wattveil.RegisterModulus - 1

// maxSumWh bounds a band's energy, far above any connection and far below
// where sums overflow: 10^12 kWh.
const maxSumWh = 1e15

// run checks the intervals and sums them. It allocates nothing unless it
// fails.
func (s *sum) run(intervals []wattveil.Interval) error {
	expected := s.from
	for i := 0; i < len(intervals); {
		if err := s.order(intervals[i], expected); err != nil {
			return err
		}
		span := s.cursor.Span(intervals[i].Start)
		n, err := s.span(intervals[i:], span)
		if err != nil {
			return err
		}
		i += n
		expected = intervals[i-1].End
	}
	if expected < s.to {
		return s.fault(ErrGap, expected, s.to)
	}
	return nil
}

// span sums the intervals that start in one span and returns how many they
// are, at least one.
func (s *sum) span(intervals []wattveil.Interval, span tariff.Span) (int, error) {
	var imported, exported int64
	expected, end := intervals[0].Start, min(span.End, s.to)
	n := 0
	for ; n < len(intervals) && intervals[n].Start < end; n++ {
		iv := &intervals[n]
		length := iv.End - iv.Start
		in, out := int64(iv.Import), int64(iv.Export)
		// One comparison each: a negative energy is a huge unsigned one.
		if iv.Start != expected || length <= 0 || length > s.nominal ||
			uint64(in) > maxIntervalWh || uint64(out) > maxIntervalWh {
			return 0, s.refuse(*iv, expected)
		}
		expected = iv.End
		imported += in
		exported += out
	}
	if expected > s.to {
		return 0, s.fault(ErrOutside, intervals[n-1].Start, expected)
	}
	e := &s.energy[span.Band]
	e.imported += imported
	e.exported += exported
	if e.imported > maxSumWh || e.exported > maxSumWh {
		return 0, s.fault(ErrEnergy, intervals[0].Start, expected)
	}
	s.days.add(span.Day)
	if s.spot == nil && s.demands == nil {
		return n, nil
	}
	if err := s.extras(intervals[:n], span); err != nil {
		return 0, err
	}
	return n, nil
}

// days counts the local days that spans in rising order touch. A zone may set
// its clock back across midnight, so a day may come again.
type days struct {
	first, last int64
	count       int
}

func (d *days) add(day int64) {
	switch {
	case d.count == 0:
		d.first, d.last = day, day
	case day > d.last:
		d.last = day
	case day < d.first:
		d.first = day
	default:
		return
	}
	d.count++
}

// period checks the period against the calendar and the tariff.
func (s *sum) period(from, to time.Time) error {
	s.from, s.to = from.Unix(), to.Unix()
	switch {
	case from.Nanosecond() != 0 || to.Nanosecond() != 0 ||
		from.Year() < 1970 || to.Year() > 9998 || s.from < 0 || s.to <= s.from:
		return s.fault(ErrPeriod, s.from, s.to)
	case s.from < s.t.ValidFrom().Unix():
		return s.fault(ErrNotValid, s.from, s.t.ValidFrom().Unix())
	}
	if end, ok := s.t.PricesTo(); ok && s.to > end.Unix() {
		return s.fault(ErrExpired, s.to, end.Unix())
	}
	return nil
}

// carry adds what an earlier bill counted wrongly.
func (s *sum) carry(differences []Energy) error {
	if len(differences) == 0 {
		return nil
	}
	_, minimum := s.t.Minimum()
	ok := !minimum && s.spot == nil
	byName := make(map[string]int, s.t.Bands())
	for band := range s.energy {
		byName[s.t.Rate(band).Band] = band
		ok = ok && s.t.Rate(band).Tiers == nil
	}
	for _, d := range differences {
		band, known := byName[d.Band]
		if !ok || !known || max(abs(int64(d.Import)), abs(int64(d.Export))) > maxSumWh {
			return s.fault(ErrCarry, s.from, s.to)
		}
		e := &s.energy[band]
		e.imported += int64(d.Import)
		e.exported += int64(d.Export)
	}
	for _, e := range s.energy {
		if e.imported < 0 || e.exported < 0 || e.imported > maxSumWh || e.exported > maxSumWh {
			return s.fault(ErrCarry, s.from, s.to)
		}
	}
	return nil
}

// abs is the size of an energy. The lowest number of all, whose size is none,
// stays negative and fails no check of size, but the sum with it does.
func abs(wh int64) int64 { return max(wh, -wh) }
