package rating

import (
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
)

// Fault is why intervals cannot be rated. Faults are themselves errors, for
// use with [errors.Is].
type Fault string

// The faults.
const (
	ErrPeriod   Fault = "the period is empty, or not in whole seconds of the years 1970 to 9998"
	ErrNotValid Fault = "the period starts before the tariff is valid"
	ErrExpired  Fault = "the period ends after the tariff does"
	ErrOutside  Fault = "an interval is outside the period"
	ErrOrder    Fault = "intervals overlap or are out of order"
	ErrGap      Fault = "readings are missing"
	ErrLong     Fault = "an interval is longer than the meter's resolution: a reading in it is missing"
	ErrEnergy   Fault = "an energy is negative or beyond what a connection can carry"
	ErrNoSeries Fault = "a price series that the tariff names is not given"
	ErrCurrency Fault = "a price series is in another currency than the tariff"
	ErrNoPrice  Fault = "a price series has no price for a part of the period"
	ErrCarry    Fault = "a difference cannot be carried: the tariff has series, tiers or a minimum, no such band, or an energy would be negative"
	ErrSteps    Fault = "an interval lies in several steps of a price series: finer readings are needed"
)

// Error is the fault.
func (f Fault) Error() string { return string(f) }

// Error is a refusal to rate: the fault, and from when to when, in the
// tariff's zone. For [ErrNotValid], To is when the tariff starts; for
// [ErrExpired], From is when the period ends and To when the tariff does. It
// names no energy.
type Error struct {
	Fault    Fault
	From, To time.Time
	Series   string // name of the price series that is at fault, else empty
}

// Error is one line.
func (e *Error) Error() string {
	const layout = "2006-01-02 15:04:05 -07:00"
	from, to, zone := e.From.Format(layout), e.To.Format(layout), e.From.Location()
	switch e.Fault {
	case ErrGap:
		return fmt.Sprintf("rating: readings are missing between %s and %s (%s)", from, to, zone)
	case ErrNotValid:
		return fmt.Sprintf("rating: the period starts at %s, the tariff at %s (%s)", from, to, zone)
	case ErrExpired:
		return fmt.Sprintf("rating: the period ends at %s, the tariff at %s (%s)", from, to, zone)
	case ErrNoSeries, ErrCurrency, ErrNoPrice, ErrSteps:
		return fmt.Sprintf("rating: %s: %s, %s to %s (%s)", e.Fault, e.Series, from, to, zone)
	default:
		return fmt.Sprintf("rating: %s: %s to %s (%s)", e.Fault, from, to, zone)
	}
}

// Unwrap is the fault, so that errors.Is(err, rating.ErrGap) holds.
func (e *Error) Unwrap() error { return e.Fault }

func (s *sum) fault(f Fault, from, to int64) error {
	zone := s.t.Zone()
	return &Error{Fault: f, From: time.Unix(from, 0).In(zone), To: time.Unix(to, 0).In(zone)}
}

func (s *sum) seriesFault(f Fault, series string, from, to int64) error {
	zone := s.t.Zone()
	return &Error{Fault: f, Series: series, From: time.Unix(from, 0).In(zone), To: time.Unix(to, 0).In(zone)}
}

// order checks the place of an interval that begins a span, before the tariff
// is asked about it.
func (s *sum) order(iv wattveil.Interval, expected int64) error {
	if iv.Start != expected || iv.Start >= s.to {
		return s.refuse(iv, expected)
	}
	return nil
}

// refuse says what is wrong with an interval that should start at expected.
func (s *sum) refuse(iv wattveil.Interval, expected int64) error {
	switch {
	case iv.Start < s.from || iv.Start >= s.to || iv.End > s.to:
		return s.fault(ErrOutside, iv.Start, iv.End)
	case iv.Start < expected || iv.End <= iv.Start:
		return s.fault(ErrOrder, iv.Start, iv.End)
	case iv.Start > expected:
		return s.fault(ErrGap, expected, iv.Start)
	case iv.End-iv.Start > s.nominal:
		return s.fault(ErrLong, iv.Start, iv.End)
	default:
		return s.fault(ErrEnergy, iv.Start, iv.End)
	}
}
