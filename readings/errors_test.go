package readings_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

func TestCheck(t *testing.T) {
	const top = wattveil.RegisterModulus - 1
	tests := []struct {
		name  string
		rs    []wattveil.Reading
		fault string // empty if none
	}{
		{"least", []wattveil.Reading{{}}, ""},
		{"greatest", []wattveil.Reading{{}, {Time: readings.MaxTime, Import: top, Export: top, Status: 0xffff}}, ""},
		{"falling and repeated times", []wattveil.Reading{{Time: 2}, {Time: 1}, {Time: 1}}, ""},
		{"none", nil, "no readings"},
		{"early", []wattveil.Reading{{}, {Time: -1}}, "reading 1: its time is before 1970"},
		{"late", []wattveil.Reading{{Time: readings.MaxTime + 1}}, "reading 0: its time does not fit"},
		{"import", []wattveil.Reading{{Import: top + 1}}, "import register"},
		{"export", []wattveil.Reading{{Export: 1 << 63}}, "export register"},
	}
	for _, tt := range tests {
		b := readings.Block{Meter: wattveil.Meter{UC: 3, Pseudonym: 0xab}, Epoch: 5, Counter: 6, Readings: tt.rs}
		err := b.Check()
		if tt.fault == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, readings.ErrInvalid) {
			t.Errorf("%s: got error %v", tt.name, err)
			continue
		}
		for _, part := range []string{tt.fault, "meter 3/00000000000000ab, epoch 5, counter 6"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", tt.name, err, part)
			}
		}
	}
}

func TestCorruptError(t *testing.T) {
	var err error = &readings.CorruptError{
		Meter: wattveil.Meter{UC: 3, Pseudonym: 0xab},
		Day:   time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	if !errors.Is(err, readings.ErrCorrupt) {
		t.Error("it does not match ErrCorrupt")
	}
	for _, part := range []string{"3/00000000000000ab", "2026-03-01"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// TestPrintsNoReading prints what carries readings in every way that a log
// might.
func TestPrintsNoReading(t *testing.T) {
	secret := wattveil.Reading{Time: 900, Import: 123456, Export: 654321}
	for _, v := range []any{
		readings.Block{Readings: []wattveil.Reading{secret}},
		readings.Run{Readings: []wattveil.Reading{secret}},
		readings.Conflict{Kept: secret, Refused: secret},
		readings.Folded{
			Runs:      []readings.Run{{Readings: []wattveil.Reading{secret}}},
			Conflicts: []readings.Conflict{{Kept: secret}},
		},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x"} {
			out := fmt.Sprintf(verb, v)
			for _, planted := range []string{"123456", "654321", "1e240", "9fbf1"} {
				if strings.Contains(out, planted) {
					t.Errorf("%T as %s shows a reading: %s", v, verb, out)
				}
			}
		}
	}
}
