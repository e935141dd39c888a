package wattveil

import (
	"fmt"
	"time"
)

// Resolution is the length of a meter's interval in seconds. It divides an
// hour, so that intervals and local hours begin together in every time zone.
type Resolution uint16

// resolutions lists the divisors of 3,600 in rising order; the code of a
// resolution on the wire is its place, counted from 1.
var resolutions = [...]Resolution{
	1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 30, 36, 40, 45, 48, 50, 60,
	72, 75, 80, 90, 100, 120, 144, 150, 180, 200, 225, 240, 300, 360, 400, 450, 600, 720,
	900, 1200, 1800, 3600,
}

// codes is resolutions turned around: the code of each resolution, and 0 where
// a number of seconds is none.
var codes = func() (t [3600 + 1]byte) {
	for i, r := range resolutions {
		t[r] = byte(i + 1)
	}
	return t
}()

// NewResolution checks that d is a whole number of seconds that divides an hour.
func NewResolution(d time.Duration) (Resolution, error) {
	s := d / time.Second
	if d <= 0 || d > time.Hour || d%time.Second != 0 || time.Hour%d != 0 {
		return 0, fmt.Errorf("interval of %v does not divide an hour into whole seconds", d)
	}
	return Resolution(s), nil
}

// ResolutionOfCode is the resolution that a code on the wire stands for.
func ResolutionOfCode(code byte) (Resolution, bool) {
	if code < 1 || int(code) > len(resolutions) {
		return 0, false
	}
	return resolutions[code-1], true
}

// Code is the resolution's place in the list of divisors of 3,600, from 1; 0
// if r is none of them.
func (r Resolution) Code() byte {
	if int(r) >= len(codes) {
		return 0
	}
	return codes[r]
}

// Duration is the interval's length.
func (r Resolution) Duration() time.Duration { return time.Duration(r) * time.Second }

// String is the interval's length, such as "15m0s".
func (r Resolution) String() string { return r.Duration().String() }
