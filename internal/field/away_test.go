package field

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A week of a meter's quarters of an hour. Here each of them takes a second.
const weekOfReadings = 7 * 24 * 4

// While the TTP is away, collectors hold what they have room for and refuse the
// rest, which stays in the meters. When it is back, everything arrives, once.
// Package internal/grid has the same week by the clock.
func TestAwayForAWeek(t *testing.T) {
	const bound = 40 // frames in a collector's queue
	readings := 20
	if full() {
		readings = weekOfReadings
	}
	flags := []string{"--resolution", "1s"}
	f := New(t, Config{
		Collector: []string{"--queue-max-frames", strconv.Itoa(bound)},
		Fleets:    []Fleet{{"east", 5, flags, "north"}, {"west", 5, flags, "south"}},
	})
	f.Start(f.Fleets...)
	f.Drain(time.Now(), patience)
	taken := f.sum(func(m MeterStatus) uint64 { return m.Taken })
	f.Stop(f.TTP)
	f.Until("both collectors are full and refuse", patience, func() error {
		for _, c := range f.Collectors {
			frames, refused := f.figure(c, "queue_frames", ""), f.figure(c, "not_taken_total", "full")
			if frames < bound || refused == 0 {
				return fmt.Errorf("%s holds %.0f frames and has refused %.0f", c.Name, frames, refused)
			}
		}
		return nil
	})
	// What is held outlives the collector.
	if err := f.Collectors[0].Kill(); err != nil {
		t.Fatal(err)
	}
	f.Start(f.Collectors[0])
	f.Until("the meters have taken all readings of the week", patience+time.Duration(readings)*time.Second, func() error {
		for _, c := range f.Collectors {
			// It comes up full, and stays so to the frame.
			if frames, err := c.Metric("queue_frames", ""); err == nil && frames != bound {
				t.Fatalf("%s holds %.0f frames while the TTP is away, want %d", c.Name, frames, bound)
			}
		}
		if now := f.sum(func(m MeterStatus) uint64 { return m.Taken }); now < taken+uint64(readings*10) {
			return fmt.Errorf("%d readings of %d", now-taken, readings*10)
		}
		return nil
	})
	waiting := f.sum(func(m MeterStatus) uint64 { return uint64(m.Pending) })
	since := f.sum(func(m MeterStatus) uint64 { return m.Taken }) - taken
	t.Logf("away: %d readings are taken, of which %d wait in the meters and the others in %d frames of the collectors", since, waiting, 2*bound)
	const atOnce = 10 // readings that were taken and not handed over when the counting began
	if waiting == 0 || waiting+2*bound > since+atOnce {
		t.Errorf("%d of %d readings wait in the meters: want some, and not those that the collectors hold", waiting, since)
	}
	for _, p := range f.Fleets {
		if !strings.Contains(p.Log(), "reason code 0x97") {
			t.Errorf("no meter of %s was told that the quota is exceeded", p.Name)
		}
	}
	f.Start(f.TTP)
	through := time.Now()
	f.Drain(through, 2*patience)
	t.Logf("back: everything has arrived after %v", time.Since(through).Round(time.Second))
	f.audit(through)
}

// figure is a metric of a process that must show it.
func (f *Field) figure(p *Process, name, of string) (value float64) {
	f.t.Helper()
	f.Until(p.Name+" shows "+name, patience, func() (err error) {
		value, err = p.Metric(name, of)
		return err
	})
	return value
}

// sum adds up a figure of all meters.
func (f *Field) sum(of func(MeterStatus) uint64) (sum uint64) {
	f.t.Helper()
	f.Until("all meters show how they stand", patience, func() error {
		sum = 0
		for _, p := range f.Fleets {
			list, err := p.Meters()
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return errors.New("no meters")
			}
			for _, m := range list {
				sum += of(m)
			}
		}
		return nil
	})
	return sum
}
