package pebble_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/readings/pebble"
)

// A message is appended twice, and later another one contradicts it.
func Example() {
	dir, err := os.MkdirTemp("", "readings")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()

	ctx := context.Background()
	meter := wattveil.Meter{UC: 1, Pseudonym: 0x0011223344556677}
	first := readings.Block{
		Meter: meter, Epoch: 1, Counter: 1, Digest: readings.Digest{1}, Series: 1,
		Readings: []wattveil.Reading{{Time: 900, Import: 10}, {Time: 1800, Import: 25}},
	}
	rival := readings.Block{
		Meter: meter, Epoch: 1, Counter: 1, Digest: readings.Digest{2}, Series: 1,
		Readings: []wattveil.Reading{{Time: 1800, Import: 24}},
	}
	for _, batch := range [][]readings.Block{{first}, {first, rival}} {
		if err := store.Append(ctx, batch); err != nil {
			log.Fatal(err)
		}
	}

	got, err := store.Read(ctx, meter, 0, 3600)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range got.Runs[0].Readings {
		fmt.Println("at", r.Time, "the register is", uint64(r.Import))
	}
	for _, c := range got.Conflicts {
		fmt.Println("at", c.Refused.Time, "refused", uint64(c.Refused.Import))
	}
	digests, err := store.Digests(ctx, meter, 1, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("messages under counter 1:", len(digests))
	// Output:
	// at 900 the register is 10
	// at 1800 the register is 25
	// at 1800 refused 24
	// messages under counter 1: 2
}
