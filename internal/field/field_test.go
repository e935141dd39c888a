package field

import (
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Tidy{m}.Run()) }

// full tells whether tests are to run at their full length.
func full() bool { return os.Getenv("WATTVEIL_FULL") != "" }

// fleets are two processes of meters that take a reading every second and have
// some of before, which they hand in first.
func fleets(meters int, history string) []Fleet {
	flags := []string{"--resolution", "1s", "--history", history}
	return []Fleet{{Name: "east", Meters: meters, Flags: flags}, {Name: "west", Meters: meters, Flags: flags}}
}

// The audit itself finds what is wrong: here nothing is.
func TestQuiet(t *testing.T) {
	f := New(t, Config{Fleets: fleets(5, "5m")})
	f.Start(f.Fleets...)
	through := time.Now()
	f.Drain(through, patience)
	f.audit(through)
}
