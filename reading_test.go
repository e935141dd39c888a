package wattveil_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/wattveil/wattveil"
)

func ExampleRegister() {
	before := wattveil.Register(1_099_511_627_000)
	after := before.Add(wattveil.Wh(1_000)) // across 2^40 Wh
	fmt.Println(after, uint64(after), int64(after.Since(before)))
	// Output: [redacted] 224 1000
}

func ExampleReading() {
	r := wattveil.Reading{Time: 1_540_000_800, Import: 42_000, Status: wattveil.StatusRestart}
	fmt.Printf("%v %+v %d\n", r, r, r.Import)
	fmt.Println(uint64(r.Import), "Wh")
	// Output:
	// [redacted] [redacted] [redacted]
	// 42000 Wh
}

func TestRegisterArithmetic(t *testing.T) {
	const last = wattveil.RegisterModulus - 1
	tests := []struct {
		name     string
		register uint64
		energy   int64
		want     uint64
	}{
		{"nothing", 0, 0, 0},
		{"from zero", 0, 1, 1},
		{"in the middle", 1_000, 250, 1_250},
		{"up to the last", 0, last, last},
		{"nothing at the last", last, 0, last},
		{"rolls over to zero", last, 1, 0},
		{"rolls over beyond zero", last, 1_000, 999},
		{"almost a whole turn", 5, last, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := wattveil.Register(test.register)
			after := before.Add(wattveil.Wh(test.energy))
			if uint64(after) != test.want {
				t.Errorf("%d Wh and %d Wh make %d Wh, want %d Wh", test.register, test.energy, uint64(after), test.want)
			}
			if got := after.Since(before); int64(got) != test.energy {
				t.Errorf("%d Wh since %d Wh are %d Wh, want %d Wh", uint64(after), test.register, int64(got), test.energy)
			}
		})
	}
}

// The planted numbers: whatever prints one of them leaks.
const (
	plantedImport = 7_700_110
	plantedExport = 8_800_220
	plantedTime   = 1_540_000_800
	plantedStatus = 4_660 // 0x1234
)

// planted are the values that redact themselves, and what holds them.
func planted() map[string]any {
	reading := wattveil.Reading{Time: plantedTime, Import: plantedImport, Export: plantedExport, Status: plantedStatus}
	interval := wattveil.Interval{
		Start: plantedTime, End: plantedTime + 900,
		Import: plantedImport, Export: plantedExport, Status: plantedStatus,
	}
	return map[string]any{
		"Register":            wattveil.Register(plantedImport),
		"Wh":                  wattveil.Wh(plantedImport),
		"Reading":             reading,
		"Interval":            interval,
		"pointer to Register": new(wattveil.Register(plantedImport)),
		"pointer to Wh":       new(wattveil.Wh(plantedImport)),
		"pointer to Reading":  &reading,
		"pointer to Interval": &interval,
		"slice of Reading":    []wattveil.Reading{reading},
		"map by Register":     map[wattveil.Register]wattveil.Wh{plantedImport: plantedExport},
		"struct with Reading": struct{ R wattveil.Reading }{reading},
		"struct with Wh":      struct{ Energy wattveil.Wh }{plantedImport},
		"embedded Interval":   struct{ wattveil.Interval }{interval},
	}
}

// checkRedacted fails if text shows a planted number in any base that package
// fmt prints.
func checkRedacted(t *testing.T, how, text string) {
	t.Helper()
	if !strings.Contains(text, "[redacted]") {
		t.Errorf("%s does not say that something is redacted: %s", how, text)
	}
	for _, number := range []int64{plantedImport, plantedExport, plantedTime, plantedTime + 900, plantedStatus} {
		for _, verb := range []string{"%d", "%x", "%X", "%o", "%b", "%e", "%q"} {
			if shown := fmt.Sprintf(verb, number); strings.Contains(text, shown) {
				t.Errorf("%s leaks %d as %s: %s", how, number, shown, text)
			}
		}
	}
}

// TestRedactsUnderEveryVerb tries every letter, with every flag and a width.
// Package fmt answers %T with the type alone, and %p and %w without asking the
// value.
func TestRedactsUnderEveryVerb(t *testing.T) {
	flags := []string{"", "#", "+", "-", " ", "0", "+#", "12", "012.3", "#-40"}
	for name, value := range planted() {
		for verb := rune('A'); verb <= 'z'; verb++ {
			if !unicode.IsLetter(verb) || strings.ContainsRune("Tpw", verb) {
				continue
			}
			for _, flag := range flags {
				format := "%" + flag + string(verb)
				checkRedacted(t, name+" under "+format, fmt.Sprintf(format, value))
			}
		}
		checkRedacted(t, name+" in Sprint", fmt.Sprint(value))
		checkRedacted(t, name+" in Sprintln", fmt.Sprintln("energy", value))
		for _, format := range []string{"energy", "%[1]d %[1]x", "%!"} {
			checkRedacted(t, fmt.Sprintf("%s under %q", name, format), fmt.Sprintf(format, value))
		}
		checkRedacted(t, name+" in an error", fmt.Errorf("energy %v: %w", value, fmt.Errorf("%d", value)).Error())
	}
}

func TestRedactsInJSON(t *testing.T) {
	for name, value := range planted() {
		out, err := json.Marshal(map[string]any{"value": value})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkRedacted(t, name+" in JSON", string(out))
	}
}

func TestRedactsInLogs(t *testing.T) {
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, quiet()) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, quiet()) },
	}
	for kind, handler := range handlers {
		for name, value := range planted() {
			var out bytes.Buffer
			log := slog.New(handler(&out))
			log.Info("energy", "value", value)
			checkRedacted(t, name+" as an attribute, "+kind, out.String())
			out.Reset()
			log.With("value", value).Info("energy")
			checkRedacted(t, name+" in With, "+kind, out.String())
			out.Reset()
			log.WithGroup("group").Info("energy", slog.Group("inner", "value", value))
			checkRedacted(t, name+" in a group, "+kind, out.String())
		}
	}
}

// quiet leaves the time out of logs, whose digits are nobody's energy.
func quiet() *slog.HandlerOptions {
	return &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
}

// A text that is read back must not pass for a reading.
func TestRedactedTextIsNotReadBack(t *testing.T) {
	for name, target := range map[string]any{
		"Register": new(wattveil.Register), "Wh": new(wattveil.Wh),
		"Reading": new(wattveil.Reading), "Interval": new(wattveil.Interval),
	} {
		if err := json.Unmarshal([]byte(`"[redacted]"`), target); err == nil {
			t.Errorf("%s is read from its redacted form", name)
		}
	}
}

func TestStatusText(t *testing.T) {
	for status, want := range map[wattveil.Status]string{
		0: "", 1: "clock", 2: "restart", 4: "tamper", 7: "clock restart tamper", 1<<15 | 2: "restart 15",
	} {
		if got := status.Text(); got != want {
			t.Errorf("status %d: %q, want %q", uint16(status), got, want)
		}
	}
	for n := range 1 << 16 {
		status := wattveil.Status(n)
		if got, err := wattveil.ParseStatus(status.Text()); err != nil || got != status {
			t.Fatalf("%q is read as %d, %v; want %d", status.Text(), got, err, n)
		}
	}
	for _, text := range []string{
		" ", "clock ", " clock", "clock  tamper", "clock\ttamper", "tamper clock", "clock clock", "Clock", "reset", "0", "2", "03", "+3", "16", "-1", "3 3", "4 3", "3 clock", "clock,tamper",
	} {
		if s, err := wattveil.ParseStatus(text); err == nil || s != 0 || !strings.Contains(err.Error(), "clock, restart, tamper or numbers from 3 to 15") {
			t.Errorf("%q is read as %d, %v", text, s, err)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("clock tamper 9")
	f.Add("restart 15")
	f.Add("tamper clock")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := wattveil.ParseStatus(text); err == nil && s.Text() != text {
			t.Errorf("%q is accepted and written as %q", text, s.Text())
		}
	})
}
