package open_test

import (
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	vectors "github.com/wattveil/wattveil/vectors/wire"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

// One reading and a day of quarters are what meters send.
var benchNames = [...]string{"1 reading, typical", "96 readings, typical"}

func vector(tb testing.TB, name string) vectors.Data {
	tb.Helper()
	for _, v := range load(tb).Data {
		if v.Name == name {
			return v
		}
	}
	tb.Fatalf("no vector is named %q", name)
	return vectors.Data{}
}

// opening opens one message over and over, as the TTP does with warm keys.
func opening(tb testing.TB, v vectors.Data) func() {
	var opener open.Opener
	key := keyOf(tb, v)
	dst := make([]wattveil.Reading, 0, wire.MaxReadings)
	return func() {
		if _, err := opener.Open(dst, key, v.ToTTP); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range benchNames {
		v := vector(b, name)
		b.Run(fmt.Sprintf("readings=%d", v.Block[2]), func(b *testing.B) {
			f := opening(b, v)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// An opener allocates nothing once its buffer has grown.
func TestNoAllocations(t *testing.T) {
	for _, name := range benchNames {
		if allocs := testing.AllocsPerRun(100, opening(t, vector(t, name))); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
