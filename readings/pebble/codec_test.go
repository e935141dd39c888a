package pebble

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/readings"
)

// unhex is the bytes of hexadecimal digits with blanks between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// regularDay is a day of 15-minute readings under one series.
func regularDay() []value {
	values := make([]value, 96)
	for i := range values {
		values[i] = value{series: 1, second: uint32(i) * 900, imp: 1000 + 3*uint64(i), stamp: 500 + 7*uint64(i)}
	}
	return values
}

// dayVectors pin the layout of a day: see FORMAT.md.
var dayVectors = []struct {
	name   string
	values []value
	bytes  string
}{
	{
		"one reading",
		[]value{{series: 3, second: 900, imp: 300, exp: 5, status: 2, stamp: 0x0102}},
		"01 0000000000000102" + // version, base stamp
			"03 01" + // series, count
			"8407" + // seconds
			"ac02" + // imports
			"05" + // exports
			"02 01" + // statuses
			"00", // stamps
	},
	{
		"a day of quarters of an hour",
		regularDay(),
		"01 00000000000001f4" +
			"01 60" +
			"00 8407 5f" +
			"e807" + strings.Repeat("03", 95) +
			"00 00 5f" +
			"00 60" +
			"00 0e 00 5e",
	},
	{
		"rivals, rollover and two series",
		[]value{
			{series: 1, second: 0, imp: 1<<40 - 1, exp: 9, stamp: 12},
			{series: 1, second: 60, imp: 1, exp: 9, stamp: 10},
			{series: 1, second: 60, imp: 0, exp: 9, stamp: 11},
			{series: 1, second: 120, imp: 4, exp: 9, status: 1, stamp: 13},
			{series: 300, second: 86_399, imp: 0, exp: 1<<40 - 1, status: 0xffff, stamp: 20},
		},
		"01 000000000000000a" +
			"01 04" +
			"00 3c01 0001 3c01" +
			"ffffffffff1f 02 ffffffffff1f 04" +
			"09 00 03" +
			"00 03 01 01" +
			"02 03 06 02" +
			"ab02 01" +
			"ffa205" +
			"00" +
			"ffffffffff1f" +
			"ffff03 01" +
			"0a",
	},
	{
		"the largest stamps",
		[]value{
			{second: 0, stamp: math.MaxUint64},
			{second: 1, stamp: 0},
			{second: 2, stamp: math.MaxUint64},
		},
		"01 0000000000000000" +
			"00 03" +
			"00 01 02" +
			"00 00 02" +
			"00 00 02" +
			"00 03" +
			"ffffffffffffffffff01 02 03",
	},
}

func TestDayBytes(t *testing.T) {
	for _, v := range dayVectors {
		want := unhex(t, v.bytes)
		d := day{values: slices.Clone(v.values)}
		d.fold()
		if got := d.encode(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded\n%x, want\n%x", v.name, got, want)
		}
		var back day
		if err := back.add(want); err != nil {
			t.Errorf("%s: %v", v.name, err)
		} else if !slices.Equal(back.values, v.values) {
			t.Errorf("%s: decoded %v, want %v", v.name, back.values, v.values)
		}
	}
}

// pageVectors pin the layout of a page: see FORMAT.md.
var pageVectors = []struct {
	name  string
	marks []mark
	bytes string
}{
	{
		"one digest",
		[]mark{{counter: 1023, stamp: 5, digest: readings.Digest{1, 2, 3, 4, 5, 6, 7, 8}}},
		"01 0000000000000005" + // version, base stamp
			"01" + // count
			"ff07" + // counters
			"00" + // stamps
			"0102030405060708", // digests
	},
	{
		"rivals",
		[]mark{
			{counter: 0, stamp: 7, digest: readings.Digest{9}},
			{counter: 1, stamp: 8, digest: readings.Digest{8}},
			{counter: 1, stamp: 9, digest: readings.Digest{7}},
			{counter: 2, stamp: 10, digest: readings.Digest{9}},
		},
		"01 0000000000000007" +
			"04" +
			"00 01 01 00 01 01 01" +
			"00 02 00 02" +
			"0900000000000000 0800000000000000 0700000000000000 0900000000000000",
	},
}

func TestPageBytes(t *testing.T) {
	for _, v := range pageVectors {
		want := unhex(t, v.bytes)
		p := page{marks: slices.Clone(v.marks)}
		p.fold()
		if got := p.encode(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded\n%x, want\n%x", v.name, got, want)
		}
		var back page
		if err := back.add(want); err != nil {
			t.Errorf("%s: %v", v.name, err)
		} else if !slices.Equal(back.marks, v.marks) {
			t.Errorf("%s: decoded %v, want %v", v.name, back.marks, v.marks)
		}
	}
}

func TestKeyBytes(t *testing.T) {
	m := wattveil.Meter{UC: 0x01020304, Pseudonym: 0x1122334455667788}
	tests := []struct {
		name string
		key  []byte
		want string
	}{
		{"version", versionKey(), "00 76"},
		{"stamp", stampKey(), "00 73"},
		{"day", appendDayKey(nil, m, 0x5051), "01 01020304 1122334455667788 00005051"},
		{"page", appendPageKey(nil, m, 0x0a0b0c0d, 0xffffffff), "02 01020304 1122334455667788 0a0b0c0d 003fffff"},
	}
	for _, tt := range tests {
		if want := unhex(t, tt.want); !bytes.Equal(tt.key, want) {
			t.Errorf("%s: got %x, want %x", tt.name, tt.key, want)
		}
	}
}

func TestAfter(t *testing.T) {
	tests := []struct{ prefix, want string }{
		{"02", "03"}, {"0201", "0202"}, {"02ff", "03"}, {"02ffffff", "03"}, {"0201ff", "0202"},
	}
	for _, tt := range tests {
		prefix := unhex(t, tt.prefix)
		if got := after(prefix); !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("after %s: got %x, want %s", tt.prefix, got, tt.want)
		}
		if !bytes.Equal(prefix, unhex(t, tt.prefix)) {
			t.Errorf("after %s changed it", tt.prefix)
		}
	}
}

func TestZigzag(t *testing.T) {
	tests := []struct {
		v    int64
		want uint64
	}{{0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {math.MaxInt64, math.MaxUint64 - 1}, {math.MinInt64, math.MaxUint64}}
	for _, tt := range tests {
		if got := zigzag(uint64(tt.v)); got != tt.want {
			t.Errorf("zigzag(%d) = %d, want %d", tt.v, got, tt.want)
		}
		if got := int64(unzigzag(tt.want)); got != tt.v {
			t.Errorf("unzigzag(%d) = %d, want %d", tt.want, got, tt.v)
		}
	}
}

// head begins a malformed value that is sound so far.
const head = "01 0000000000000000"

func TestMalformedDay(t *testing.T) {
	tests := []struct{ name, bytes string }{
		{"empty", ""},
		{"no section", head},
		{"cut header", "01 00000000"},
		{"other version", "03 0000000000000000 01 01 00 00 00 00 01 00"},
		{"cut section", head + "01 01 00 00 00 00 01"},
		{"trailing byte", head + "01 01 00 00 00 00 01 00 00"},
		{"no values", head + "01 00 00 00 00 00 01 00"},
		{"too many values", head + "01 81808001 00 0080808001"},
		{"long number", head + "8100 01 00 00 00 00 01 00"},
		{"series too large", head + "8080808010 01 00 00 00 00 01 00"},
		{"series twice", head + "01 01 00 00 00 00 01 00  00 01 00 00 00 00 01 00"},
		{"series overflow", head + "ffffffff0f 01 00 00 00 00 01 00  01 01 00 00 00 00 01 00"},
		{"second too large", head + "01 01 80a305 00 00 00 01 00"},
		{"seconds too large", head + "01 02 ffa205 0101 00 01 00 0001 00 02 00 02"},
		{"times in two runs", head + "01 03 00 0101 0101 00 0002 00 0002 00 03 00 0002"},
		{"empty run of times", head + "01 02 00 0100 00 01 00 0001 00 02 00 02"},
		{"run of times too long", head + "01 02 00 0102 00 01 00 0001 00 02 00 02"},
		{"import too large", head + "01 01 00 808080808020 00 00 01 00"},
		{"import step too large", head + "01 02 00 0101 00 808080808020 00 0001 00 02 00 0001"},
		{"zeros in two rows", head + "01 03 00 0102 00 0001 0001 00 0002 00 03 00 0002"},
		{"no zeros", head + "01 02 00 0101 00 0000 01 00 0001 00 02 00 0001"},
		{"too many zeros", head + "01 02 00 0101 00 0002 00 0001 00 02 00 0001"},
		{"export too large", head + "01 01 00 00 808080808020 00 01 00"},
		{"status too large", head + "01 01 00 00 00 808004 01 00"},
		{"statuses in two runs", head + "01 02 00 0101 00 0001 00 0001 0001 0001 00 0001"},
		{"base is not the least stamp", head + "01 01 00 00 00 00 01 01"},
		{"stamp overflow", "01 ffffffffffffffff 01 02 00 0101 00 0001 00 0001 00 02 00 02"},
		{"rival not later", head + "01 02 00 0001 00 01 00 0001 00 02 01 01"},
		{"rival with one stamp, not greater", head + "01 02 00 0001 01 ffffffffff1f 00 0001 00 02 00 0001"},
		{"rival of the same value", head + "01 02 00 0001 00 0001 00 0001 00 02 00 02"},
		{"too many rivals", head + "01 11 00 0010" + "00" + strings.Repeat("01", 16) + "00 0010 00 11 00 0010"},
	}
	for _, tt := range tests {
		var d day
		if err := d.add(unhex(t, tt.bytes)); err == nil {
			t.Errorf("%s: decoded as %v", tt.name, d.values)
		}
		if !d.empty() {
			t.Errorf("%s: left %v", tt.name, d.values)
		}
	}
}

func TestMalformedPage(t *testing.T) {
	digest := " 0000000000000000"
	tests := []struct{ name, bytes string }{
		{"empty", ""},
		{"no count", head},
		{"no digests", head + "00"},
		{"too many digests", head + "818001 00 00808001"},
		{"cut", head + "01 00 00 00000000000000"},
		{"trailing byte", head + "01 00 00" + digest + "00"},
		{"counter too large", head + "01 8008 00" + digest},
		{"counters too large", head + "02 ff07 0101 00 02" + digest + digest},
		{"base is not the least stamp", head + "01 00 01" + digest},
		{"stamp overflow", "01 ffffffffffffffff 02 00 0101 00 02" + digest + digest},
		{"same digest", head + "02 00 0001 00 02" + digest + digest},
		{"too many rivals", head + "11 00 0010 00 0010" + rivalDigests(17)},
	}
	for _, tt := range tests {
		var p page
		if err := p.add(unhex(t, tt.bytes)); err == nil {
			t.Errorf("%s: decoded as %v", tt.name, p.marks)
		}
		if !p.empty() {
			t.Errorf("%s: left %v", tt.name, p.marks)
		}
	}
}

// rivalDigests is n rising digests in hexadecimal.
func rivalDigests(n int) string {
	var b []byte
	for i := range n {
		b = binary.BigEndian.AppendUint64(b, uint64(i))
	}
	return hex.EncodeToString(b)
}

// TestDayIsBounded folds more values than a day may hold.
func TestDayIsBounded(t *testing.T) {
	var d day
	for s := range uint32(25) {
		for i := range uint32(secondsPerDay) {
			d.values = append(d.values, value{series: s, second: i, stamp: 1})
		}
	}
	d.fold()
	if n := len(d.values); n != maxDayValues {
		t.Errorf("%d values, want %d", n, maxDayValues)
	}
	var back day
	if err := back.add(d.encode(nil)); err != nil {
		t.Errorf("a full day: %v", err)
	}
}
