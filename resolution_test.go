package wattveil_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
)

func ExampleNewResolution() {
	r, err := wattveil.NewResolution(15 * time.Minute)
	fmt.Println(r, r.Code(), err)
	_, err = wattveil.NewResolution(7 * time.Minute)
	fmt.Println(err)
	// Output:
	// 15m0s 42 <nil>
	// interval of 7m0s does not divide an hour into whole seconds
}

// TestResolutionsAreTheDivisorsOfAnHour goes through all seconds of an hour and
// beyond: exactly the divisors are resolutions, and their codes rise from 1.
func TestResolutionsAreTheDivisorsOfAnHour(t *testing.T) {
	var code byte
	for s := range 1 << 16 {
		r := wattveil.Resolution(s)
		made, err := wattveil.NewResolution(time.Duration(s) * time.Second)
		if s == 0 || s > 3600 || 3600%s != 0 {
			if err == nil || r.Code() != 0 {
				t.Fatalf("%d s is a resolution with code %d", s, r.Code())
			}
			continue
		}
		code++
		if err != nil || made != r || r.Code() != code {
			t.Fatalf("%d s: %d, code %d, %v; want code %d", s, made, r.Code(), err, code)
		}
		if back, ok := wattveil.ResolutionOfCode(code); !ok || back != r {
			t.Fatalf("code %d is %v, %v; want %v", code, back, ok, r)
		}
		if got, want := r.Duration(), time.Duration(s)*time.Second; got != want || r.String() != want.String() {
			t.Fatalf("%d s lasts %v and prints %q", s, got, r)
		}
	}
	if code != 45 {
		t.Errorf("there are %d resolutions, want the 45 divisors of 3,600", code)
	}
	for c := range 256 {
		if r, ok := wattveil.ResolutionOfCode(byte(c)); ok != (c >= 1 && c <= int(code)) {
			t.Errorf("code %d is %v, %v", c, r, ok)
		}
	}
}

func TestNewResolutionRefuses(t *testing.T) {
	for _, d := range []time.Duration{
		0, -time.Second, -15 * time.Minute, time.Nanosecond, 500 * time.Millisecond, 1500 * time.Millisecond,
		7 * time.Second, 15*time.Minute + 1, time.Hour + time.Second, 2 * time.Hour, 1<<63 - 1, -1 << 63,
	} {
		if r, err := wattveil.NewResolution(d); err == nil {
			t.Errorf("NewResolution(%v) = %v", d, r)
		}
	}
}

func TestResolutionCodeDoesNotAllocate(t *testing.T) {
	var sum int
	if n := testing.AllocsPerRun(100, func() { sum += int(wattveil.Resolution(900).Code()) }); n != 0 {
		t.Errorf("Code allocates %v times", n)
	}
	_ = sum
}
