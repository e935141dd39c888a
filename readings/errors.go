package readings

import (
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
)

var (
	// ErrClosed is what every method of a closed store returns.
	ErrClosed = errors.New("the store of readings is closed")

	// ErrCorrupt marks an error about stored bytes that cannot be decoded.
	ErrCorrupt = errors.New("stored bytes are damaged")

	// ErrInvalid marks an error about a block that no store may hold.
	ErrInvalid = errors.New("not a block that can be stored")
)

// CorruptError names a day of a meter of which something cannot be decoded.
// It matches [ErrCorrupt]. Several damaged days come joined (errors.Join).
type CorruptError struct {
	Meter wattveil.Meter
	Day   time.Time // midnight UTC, at the start of the day
}

// Error names the meter and the day.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("some readings of meter %v on %s cannot be decoded: %v; restore the day from a backup, or have the meter send it again",
		e.Meter, e.Day.Format(time.DateOnly), ErrCorrupt)
}

// Unwrap makes the error match [ErrCorrupt].
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// Check tells whether a store may hold b: it has readings, their times are
// from 0 to [MaxTime] and their registers below [wattveil.RegisterModulus]. The
// error matches [ErrInvalid] and shows no value.
func (b *Block) Check() error {
	if len(b.Readings) == 0 {
		return fmt.Errorf("%w: meter %v, epoch %d, counter %d: it has no readings", ErrInvalid, b.Meter, b.Epoch, b.Counter)
	}
	for i := range b.Readings {
		if fault := check(&b.Readings[i]); fault != "" {
			return fmt.Errorf("%w: meter %v, epoch %d, counter %d: reading %d: %s", ErrInvalid, b.Meter, b.Epoch, b.Counter, i, fault)
		}
	}
	return nil
}

// check returns what is wrong with r, or nothing.
func check(r *wattveil.Reading) string {
	switch {
	case r.Time < 0:
		return "its time is before 1970"
	case r.Time > MaxTime:
		return "its time does not fit into 32 bits"
	case r.Import >= wattveil.RegisterModulus:
		return "its import register is 2^40 or more"
	case r.Export >= wattveil.RegisterModulus:
		return "its export register is 2^40 or more"
	}
	return ""
}
