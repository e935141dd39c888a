package link

import (
	"net"
	"testing"
	"time"
)

// A meter's way between two collectors. Steps: f and t are a refusal and an
// acknowledgement by the present one, 0 and 1 a connection to a collector in
// the first pass over the list, and capitals let time go by. What comes out of
// each step is ">" for going on to another, "x" for one that is passed over.
func TestTurns(t *testing.T) {
	const minute, day = 'M', 'D'
	for _, test := range []struct{ name, steps, want string }{
		{"one refusal too few", "0ff0", "...."},
		{"full", "0fff", "...>"},
		{"not in a row", "0fftffttff", ".........."},
		{"the full one is passed over", "0fff01", "...>x."},
		{"and tried again later", "0fffD0", "...>.."},
		{"not so soon", "0fffM0", "...>.x"},
		{"both full: stay at the second", "0fff1ffffffffMfff", "...>............."},
		{"back, once the first may have room", "0fff1ffDf", "...>....>"},
		{"and on again", "0fff1fffDfD0fff", "...>.....>....>"},
		{"a new connection starts the count anew", "0ff0ff", "......"},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			here, there := net.Pipe()
			defer here.Close()
			defer there.Close()
			turns := turns{of: make([]turn, 2)}
			var got []byte
			for _, step := range []byte(test.steps) {
				out := byte('.')
				switch step {
				case 'f':
					if turns.refused(now) != nil {
						out = '>'
					}
				case 't':
					turns.took()
				case minute:
					now = now.Add(time.Minute)
				case day:
					now = now.Add(24 * time.Hour)
				default:
					if i := int(step - '0'); turns.isAside(i, now) {
						out = 'x'
					} else {
						turns.connected(i, here)
					}
				}
				got = append(got, out)
			}
			if string(got) != test.want {
				t.Errorf("%s gives %s, want %s", test.steps, got, test.want)
			}
		})
	}
}

// A meter with one collector has no other to go to, and of several that cannot
// be reached or refuse it tries every one from the second pass on.
func TestTurnsLeaveNobodyAlone(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	alone := turns{of: make([]turn, 1)}
	for range 10 * patience {
		if alone.refused(now) != nil {
			t.Fatal("a meter leaves its only collector")
		}
	}
	two := turns{of: make([]turn, 2)}
	for two.of[0].until.IsZero() {
		two.refused(now)
	}
	for pass, want := range []bool{true, false, false} {
		two.begin(pass)
		if got := two.isAside(0, now); got != want {
			t.Errorf("in pass %d over the collectors the full one is passed over: %v, want %v", pass, got, want)
		}
	}
}

// Meters that a full collector refuses together do not come back together, and
// come back later each time.
func TestAsideSpreads(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for asides, most := range []time.Duration{
		firstAside, 2 * firstAside, 4 * firstAside, 8 * firstAside, mostAside, mostAside,
	} {
		least, longest := drawn(func() time.Duration {
			all := turns{of: []turn{{refusals: patience - 1, asides: asides}, {}}}
			all.refused(now)
			return all.of[0].until.Sub(now)
		})
		if least < most/2 || least > most*3/4 || longest > most*3/2 || longest < most*5/4 {
			t.Errorf("put aside %d times before: from %v to %v, want %v by a half more or less", asides, least, longest, most)
		}
	}
}
