package source

import (
	"errors"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Load is the energy that flows at one household's meter. It is used by one
// goroutine at a time.
type Load interface {
	// Energy is what the interval that starts at the Unix second start took
	// from the grid (imp) and fed into it (exp), both zero or more. ok is
	// false where the source has no such interval: before its beginning,
	// after its end, or off its grid. The same start always gives the same
	// answer, in any order of calls.
	Energy(start int64) (imp, exp wattveil.Wh, ok bool)
}

// ErrEnded tells that a load has no energy for an interval that was asked for:
// as a rule, the source's last interval lies behind.
var ErrEnded = errors.New("source has no data for the interval")

// Then is first before the Unix second until and second from it on. An
// interval belongs to the load that its start belongs to. It lets a simulated
// household go on where a file of a real one ends.
func Then(first Load, until int64, second Load) Load {
	return &sequence{first: first, until: until, second: second}
}

type sequence struct {
	first  Load
	until  int64
	second Load
}

func (s *sequence) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	if start < s.until {
		return s.first.Energy(start)
	}
	return s.second.Energy(start)
}

// Format names the type alone, so that printing a sequence cannot print the
// energy that its loads hold.
func (s sequence) Format(f fmt.State, _ rune) { writeState(f, "[sequence of loads]") }

// writeState is for Format methods, which have nowhere to report an error to.
func writeState(f fmt.State, s string) { _, _ = f.Write([]byte(s)) }
