package wire_test

import (
	"testing"

	"github.com/wattveil/wattveil/wire"
)

func TestReceiptCovers(t *testing.T) {
	r := wire.Receipt{From: 100, Through: 200, Missing: []wire.Span{{First: 120, Last: 129}, {First: 140, Last: 140}}}
	for at, want := range map[int64]bool{
		99: false, 100: true, 119: true, 120: false, 129: false, 130: true,
		139: true, 140: false, 141: true, 200: true, 201: false,
	} {
		if r.Covers(at) != want {
			t.Errorf("time %d: covered %v, want %v", at, !want, want)
		}
	}
}

// A receipt that has no form on the wire is a mistake of the TTP's own.
func TestReceiptWithoutFormPanics(t *testing.T) {
	for name, r := range map[string]wire.Receipt{
		"time before 1970":   {Time: -1},
		"time after 2106":    {Time: 1 << 32},
		"through after it":   {Through: 1 << 32},
		"from after":         {From: 2, Through: 1},
		"from before 1970":   {From: -1, Through: 1},
		"too many spans":     {Through: 1000, Missing: manySpans(wire.MaxMissing + 1)},
		"takeover too far":   {TakeoverHours: wire.MaxTakeoverHours + 1},
		"takeover is past":   {TakeoverHours: -1},
		"span up to the end": {Through: 10, Missing: []wire.Span{{First: 1, Last: 10}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: encoded", name)
				}
			}()
			r.Append(nil)
		}()
	}
	if n := len(wire.Receipt{Through: 1000, Missing: manySpans(wire.MaxMissing)}.Append(nil)); n != wire.ReceiptTextSize {
		t.Errorf("a receipt with all spans has %d bytes", n)
	}
}

func manySpans(n int) []wire.Span {
	spans := make([]wire.Span, n)
	for i := range spans {
		spans[i] = wire.Span{First: int64(10 * i), Last: int64(10*i + 5)}
	}
	return spans
}
