package utility

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

func TestExtend(t *testing.T) {
	for _, tt := range []struct {
		last wattveil.Epoch
		low  byte
		base wattveil.Epoch
		want wattveil.Epoch
	}{
		{0, 1, 0, 1},
		{0, 200, 0, 200},
		{0, 0, 0, 256}, // never epoch 0
		{1, 1, 0, 1},
		{10, 12, 0, 12},
		{10, 8, 0, 8},
		{250, 5, 0, 261},
		{261, 250, 0, 250},
		{300, 43, 0, 299},
		{300, 172, 0, 172}, // as far on either side: the one before
		{300, 171, 0, 427},
		{1000, 1000 % 256, 999, 1000},
		{0, 5, 999, 1029},      // the first above the base
		{1010, 231, 999, 1255}, // 999 itself is not above the base
		{math.MaxUint32, 255, 0, math.MaxUint32},
		{math.MaxUint32, 3, 0, math.MaxUint32 - 252}, // there is none after the last
	} {
		if got := extend(tt.last, tt.low, tt.base); got != tt.want || got.Low() != tt.low {
			t.Errorf("after %d, low byte %d, base %d: %d, want %d", tt.last, tt.low, tt.base, got, tt.want)
		}
	}
}

// A meter with several pseudonyms, one after the other: a low byte finds the
// one that held in its epoch, on both sides of each border.
func TestPseudonymRanges(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	first := m.answer.Meter.Pseudonym
	second, third := first+1, first+2
	for base, p := range map[int]wattveil.Pseudonym{100: second, 250: third} {
		_, err := r.db.ExecContext(t.Context(), `INSERT INTO pseudonyms (id_sm, base, an_id) VALUES (?, ?, ?)`, int64(m.id()), base, int64(p))
		must(t, err)
	}
	r.reopen()
	under := func(epoch wattveil.Epoch) wattveil.Pseudonym {
		t.Helper()
		n := len(r.ttp.messages())
		if v := r.send(m.data(epoch, 0)).Verdicts[0]; v != wire.Durable {
			t.Fatalf("epoch %d: %v", epoch, v)
		}
		return wattveil.Pseudonym(binary.BigEndian.Uint64(r.ttp.messages()[n][0][1:]))
	}
	check := func(epoch wattveil.Epoch, want wattveil.Pseudonym) {
		t.Helper()
		if got := under(epoch); got != want {
			t.Errorf("epoch %d goes under %v, want %v", epoch, got, want)
		}
	}
	advance := func(epoch wattveil.Epoch) {
		t.Helper()
		if v := r.send(m.m1(epoch, "M1")).Verdicts[0]; v != wire.Durable {
			t.Fatalf("M1 of epoch %d: %v", epoch, v)
		}
	}
	advance(90)
	check(90, first)
	check(100, first)
	check(101, second)
	advance(101)
	check(99, first)
	check(101, second)
	advance(200)
	check(101, second)
	check(100, first)
	check(250, second)
	check(251, third)
	r.reopen()
	check(251, third)
	advance(251)
	advance(260)
	check(250, second)
	check(251, third)
	check(300, third)
	last := r.ttp.to("/v1/exchanges")
	requests, err := wire.ParseExchanges(last[len(last)-1])
	must(t, err)
	if requests[0].Pseudonym != third {
		t.Errorf("M1 of epoch 260 goes under %v", requests[0].Pseudonym)
	}
}
