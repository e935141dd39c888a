package ttp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// answer gives a batch to the TTP and returns all that it says.
func (c *company) answer(messages ...[]byte) wire.MessageAnswer {
	c.r.t.Helper()
	body, err := c.r.handleMessages(c.r.t.Context(), c.number, wire.AppendMessages(nil, messages))
	must(c.r.t, err)
	a, err := wire.ParseMessageAnswer(body, len(messages))
	must(c.r.t, err)
	return a
}

// reporter is a keyed meter that sends quarters of an hour as they pass.
type reporter struct {
	*smart
	epoch   wattveil.Epoch
	counter wattveil.Counter
	next    int // quarter of an hour
	last    wattveil.Counter
}

func newReporter(c *company, p wattveil.Pseudonym) *reporter {
	return &reporter{smart: c.keyed(p), epoch: 1, next: 1}
}

// sends lets n quarters of an hour pass and sends them, but for those to skip,
// in messages of one reading. It gives the receipts that came.
func (m *reporter) sends(n int, skip ...int) (got []wire.Receipt) {
	m.c.r.t.Helper()
	for range n {
		m.c.r.clock.add(quarter * time.Second)
		i := m.next
		m.next++
		if !slices.Contains(skip, i) {
			got = append(got, m.send(i)...)
		}
	}
	return got
}

// send sends one quarter of an hour.
func (m *reporter) send(i int) []wire.Receipt {
	m.c.r.t.Helper()
	m.counter++
	return m.open(m.c.answer(m.message(m.epoch, m.counter, reading(i, 5_000+100*uint64(i)))))
}

func (m *reporter) open(a wire.MessageAnswer) (got []wire.Receipt) {
	t := m.c.r.t
	t.Helper()
	for _, v := range a.Verdicts {
		if v != wire.Durable {
			t.Fatalf("verdict %v", v)
		}
	}
	for _, p := range a.Receipts {
		if p.Pseudonym != m.name.Pseudonym || p.Low != m.epoch.Low() {
			t.Fatalf("receipt for %v, epoch low byte %d", p.Pseudonym, p.Low)
		}
		counter, r, err := wire.OpenReceipt(m.name, m.epoch, &m.epochs[m.epoch].keys.Down, p.Body[:])
		must(t, err)
		if counter != m.last+1 {
			t.Fatalf("receipt under counter %d after %d", counter, m.last)
		}
		m.last = counter
		if r.Time != m.c.r.clock.Now().Unix() {
			t.Errorf("TTP time %d", r.Time)
		}
		got = append(got, r)
	}
	return got
}

func at(i int) int64 { return start.Unix() + int64(i)*quarter }

// spanOf is the missing span of quarters of an hour.
func spanOf(first, last int) wire.Span {
	return wire.Span{First: at(first-1) + 1, Last: at(last+1) - 1}
}

func wantReceipt(t *testing.T, got []wire.Receipt, from, through int, missing ...wire.Span) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%d receipts, want 1", len(got))
	}
	r := got[0]
	if r.From != at(from) || r.Through != at(through) || !slices.Equal(r.Missing, missing) {
		t.Errorf("receipt from %d through %d without %v, want %d through %d without %v",
			r.From-at(0), r.Through-at(0), r.Missing, at(from)-at(0), at(through)-at(0), missing)
	}
}

// A meter gets a receipt once a day, and none while it sends nothing.
func TestReceiptOnceADay(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	if got := m.sends(4); len(got) != 0 {
		t.Fatalf("%d receipts in the first hour", len(got))
	}
	wantReceipt(t, m.sends(1), 1, 1)
	if got := m.sends(95); len(got) != 0 {
		t.Fatalf("%d receipts on the first day", len(got))
	}
	wantReceipt(t, m.sends(1), 1, 97)
	r.clock.add(10 * day)
	m.next += 10 * 96
	wantReceipt(t, m.sends(1), 1, 101) // the message after ten days is not an hour old
	if n := r.count("receipts"); n != 1 {
		t.Errorf("%d rows for one meter", n)
	}
}

// What is missing is named until it has come.
func TestMissingReadingsAreNamed(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(5)
	wantReceipt(t, m.sends(96, 20, 40, 41, 42), 1, 97, spanOf(20, 20), spanOf(40, 42))
	m.send(41)
	wantReceipt(t, m.sends(96), 1, 193, spanOf(20, 20), spanOf(40, 40), spanOf(42, 42))
	for _, i := range []int{20, 40, 42} {
		m.send(i)
	}
	wantReceipt(t, m.sends(96), 1, 289)
}

// A gap that seven receipts have named is given up: later ones say nothing of
// it, nor of what lies before.
func TestGapIsGivenUp(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(5)
	for k := range maxNamed {
		wantReceipt(t, m.sends(96, 30), 1, 97+96*k, spanOf(30, 30))
	}
	wantReceipt(t, m.sends(96), 31, 97+96*maxNamed)
}

// More gaps than a receipt has room for are joined where they lie nearest.
func TestManyGaps(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(5)
	var skip []int
	for i := range 15 {
		skip = append(skip, 10+6*i-min(i/7, 1)) // 10, 16, ... 46, 51, ...: one pair is nearer
	}
	got := m.sends(96, skip...)
	if len(got) != 1 || len(got[0].Missing) != wire.MaxMissing || got[0].Missing[6] != spanOf(46, 51) {
		t.Fatalf("receipt %+v, want 14 spans and the readings 46 to 51 in one", got)
	}
	for _, i := range skip {
		if got[0].Covers(at(i)) {
			t.Errorf("reading %d is said to be durable", i)
		}
	}
}

// Nothing is said of readings that are older than 45 days, as those of a meter
// that kept them for a year.
func TestReceiptsSpeakOf45Days(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	r.clock.add(60 * day)
	m.next += 60 * 96
	m.counter++
	if a := m.c.answer(m.message(1, m.counter, steady(1, 96)...)); len(m.open(a)) != 0 {
		t.Error("a receipt speaks of readings of two months ago")
	}
	wantReceipt(t, m.sends(8), 60*96+1, 60*96+4)
}

// The counters of an epoch go on after a stop, and each epoch has its own.
func TestReceiptCounters(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(5)
	for range 3 {
		r.reopen()
		if got := m.sends(96); len(got) != 1 { // open checks the counter
			t.Fatalf("%d receipts in a day", len(got))
		}
	}
	m.agree(2)
	m.epoch, m.counter, m.last = 2, 0, 0
	if got := m.sends(96); len(got) != 1 || m.last != 1 {
		t.Errorf("%d receipts under the new epoch, counter %d", len(got), m.last)
	}
}

// A message under an older epoch gets its receipt under the newest active one.
func TestReceiptUnderTheNewestEpoch(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(4)
	m.agree(2)
	m.offer(3, nil) // pending
	m.c.r.clock.add(quarter * time.Second)
	late := m.message(1, 9, reading(5, 5_500))
	m.epoch = 2
	if got := m.open(m.c.answer(late)); len(got) != 1 {
		t.Errorf("%d receipts", len(got))
	}
}

// A batch that is repeated gets no second receipt, and one in which nothing is
// durable gets none.
func TestNoReceiptTwice(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(4)
	r.clock.add(quarter * time.Second)
	msg := m.message(1, 5, reading(5, 5_500))
	r.faults.set(func(s *faultyStore) { s.append = errDisk })
	if a := m.c.answer(msg); len(a.Receipts) != 0 || a.Verdicts[0] != wire.Later {
		t.Fatalf("%d receipts, verdict %v from a store that fails", len(a.Receipts), a.Verdicts[0])
	}
	r.faults.set(func(s *faultyStore) { s.append, s.read = nil, errDisk })
	if a := m.c.answer(msg); len(a.Receipts) != 0 || a.Verdicts[0] != wire.Durable {
		t.Fatalf("%d receipts, verdict %v while nothing can be read", len(a.Receipts), a.Verdicts[0])
	}
	r.faults.set(func(s *faultyStore) { s.read = nil })
	if got := m.open(m.c.answer(msg)); len(got) != 1 {
		t.Fatalf("%d receipts", len(got))
	}
	if got := m.open(m.c.answer(msg)); len(got) != 0 {
		t.Fatalf("%d receipts for the same batch again", len(got))
	}
}

// Receipts of one batch come by rising an-ID, one each; utilities with equal
// an-IDs get their own.
func TestReceiptsOfManyMeters(t *testing.T) {
	r := newRig(t, nil)
	for _, org := range []string{"one.example", "two.example"} {
		c := r.company(org)
		var batch [][]byte
		var meters []*smart
		for _, p := range []wattveil.Pseudonym{9, 2, 1 << 63} {
			m := c.keyed(p)
			meters = append(meters, m)
			batch = append(batch, m.message(1, 2, steady(3, 2)...), m.message(1, 1, steady(1, 2)...))
		}
		r.clock.add(2 * time.Hour)
		a := c.answer(batch...)
		if len(a.Receipts) != 3 || a.Receipts[0].Pseudonym != 2 || a.Receipts[1].Pseudonym != 9 {
			t.Fatalf("%d receipts", len(a.Receipts))
		}
		for _, p := range a.Receipts {
			i := slices.IndexFunc(meters, func(m *smart) bool { return m.name.Pseudonym == p.Pseudonym })
			_, got, err := wire.OpenReceipt(meters[i].name, 1, &meters[i].epochs[1].keys.Down, p.Body[:])
			must(t, err)
			wantReceipt(t, []wire.Receipt{got}, 1, 4)
		}
		r.clock.add(-2 * time.Hour)
	}
}

// Whatever is missing and whenever it comes, a receipt never says of a reading
// that it is durable when it is not, and in the end nothing is missing.
func TestCoverageNeverSaysTooMuch(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		stored := map[int64]bool{}
		var c coverage
		c.since, c.through = 0, 0
		stored[0] = true
		for day := int64(1); day <= 6; day++ {
			for t := (day - 1) * 24; t < day*24; t++ {
				if rng.IntN(5) > 0 {
					stored[t] = true
				}
			}
			if rng.IntN(2) == 0 { // what was missing comes
				for t := range day * 24 {
					stored[t] = stored[t] || rng.IntN(2) == 0
				}
			}
			c = refill(c, stored)
			var times []int64
			for t := c.through + 1; t < day*24; t++ {
				if stored[t] {
					times = append(times, t)
				}
			}
			c.extend(times, 1)
			r := c.receipt(0)
			if _, err := wire.ParseReceipt(r.Append(nil)); err != nil {
				t.Fatal(err)
			}
			for at := r.From; at <= r.Through; at++ {
				if r.Covers(at) && !stored[at] {
					t.Fatalf("seed %d, day %d: %d is said to be durable", seed, day, at)
				}
			}
			kept, err := parseGaps(encodeGaps(c.gaps))
			if err != nil || !slices.Equal(kept, c.gaps) {
				t.Fatalf("gaps %v are kept as %v, %v", c.gaps, kept, err)
			}
		}
		for at := range c.through {
			stored[at] = true
		}
		if c = refill(c, stored); len(c.gaps) != 0 {
			t.Fatalf("seed %d: gaps %v are left when all has come", seed, c.gaps)
		}
	}
}

// refill looks into each gap as the TTP does.
func refill(c coverage, stored map[int64]bool) coverage {
	before := c.gaps
	c.gaps = nil
	for _, g := range before {
		left := coverage{through: g.First - 1}
		for t := g.First; t <= g.Last; t++ {
			if stored[t] {
				left.extend([]int64{t}, 1)
			}
		}
		left.extend([]int64{g.Last + 1}, 1)
		c.gaps = append(c.gaps, left.gaps...)
	}
	c.join()
	return c
}

func TestDamagedCoverage(t *testing.T) {
	for _, b := range [][]byte{{1}, make([]byte, gapSize-1), make([]byte, gapSize*(wire.MaxMissing+1))} {
		if _, err := parseGaps(b); err == nil {
			t.Errorf("%d bytes are read", len(b))
		}
	}
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	m.sends(5)
	_, err := r.db.Exec(`UPDATE receipts SET missing = x'00'`)
	must(t, err)
	if got := m.sends(96); len(got) != 0 {
		t.Errorf("%d receipts from a damaged row", len(got))
	}
	if !bytes.Contains([]byte(r.log.String()), []byte("receipt not made")) {
		t.Error("nobody is told")
	}
}

// A finer resolution than the present one is not taken for whole.
func TestReceiptAfterAChangeOfResolution(t *testing.T) {
	r := newRig(t, nil)
	m := newReporter(r.company("uc.example"), 1)
	block := func(res wattveil.Resolution, first int64, n int) []byte {
		var list []wattveil.Reading
		for i := range n {
			list = append(list, wattveil.Reading{Time: first + int64(i)*int64(res), Import: wattveil.Register(i)})
		}
		b, err := wire.AppendBlock(nil, res, list)
		must(t, err)
		m.counter++
		return m.seal(1, m.counter, b)
	}
	r.clock.add(3 * time.Hour)
	// Minutes, of which ten are missing, and quarters of an hour after them.
	got := m.open(m.c.answer(block(60, at(1), 20), block(60, at(1)+30*60, 15), block(quarter, at(4), 2)))
	if len(got) != 1 || got[0].Covers(at(1)+25*60) {
		t.Errorf("receipt %+v covers a minute that is missing", got)
	}
}
