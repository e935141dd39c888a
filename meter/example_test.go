package meter_test

import (
	"context"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/source"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// printer is a link that says what is published and never gets an answer.
type printer struct{}

func (printer) Publish(_ context.Context, frame []byte) error {
	fmt.Printf("published: %v, %d bytes\n", wire.Type(frame[0]), len(frame))
	return nil
}

func (printer) Receive() <-chan []byte { return nil }

// memory is a vault for an example.
type memory struct{ content []byte }

func (m *memory) Load() ([]byte, error) { return m.content, nil }
func (m *memory) Save(b []byte) error   { m.content = b; return nil }

// A meter with a simulated household takes readings from the start on. Until
// its utility has answered it keeps them.
func ExampleAgent_Step() {
	const resolution = 900 // 15 minutes
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	home := source.NewHousehold(1, 1, time.UTC, resolution)
	signer, err := clpke.NewUserKey() // stands for the utility's signing key
	if err != nil {
		panic(err)
	}
	agent, err := meter.New(meter.Config{
		Provision: provision.Record{
			Meter:      wattveil.MeterID(0x1122334455667788),
			Secret:     wire.NewSecret(),
			Collectors: []string{"mqtt://collector.example:1883"},
			KGC:        signer.Public(),
		},
		Link:       printer{},
		Source:     source.NewRegisters(home, resolution, now.Unix(), 0, 0),
		Vault:      new(memory),
		Resolution: resolution,
		First:      now.Unix() + resolution,
		Now:        func() time.Time { return now },
	})
	if err != nil {
		panic(err)
	}
	for range 5 { // an hour
		if err := agent.Step(context.Background()); err != nil {
			panic(err)
		}
		now = now.Add(15 * time.Minute)
	}
	s := agent.Status()
	fmt.Printf("%s: %d readings taken, %d pending\n", s.State, s.ReadingsTaken, s.Pending)
	// Output:
	// published: registration request, 99 bytes
	// published: registration request, 99 bytes
	// published: registration request, 99 bytes
	// unregistered: 4 readings taken, 4 pending
}
