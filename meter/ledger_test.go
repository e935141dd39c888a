package meter

import (
	"math/rand/v2"
	"testing"

	"github.com/wattveil/wattveil"
)

// plainLedger says the same of each reading by itself.
type plainLedger struct {
	head  int
	marks []extent // of every reading ever; end is not used
	done  int
}

func (p *plainLedger) each(from, to uint64, f func(e *extent)) (n int) {
	for i := max(int(from), p.head); i < min(int(to), len(p.marks)); i++ {
		before := p.marks[i]
		f(&p.marks[i])
		if p.marks[i] != before {
			n++
		}
	}
	return n
}

func (p *plainLedger) unsealed() (n int) {
	for _, e := range p.marks[p.head:] {
		if !e.sealed {
			n++
		}
	}
	return n
}

// Random work on a ledger leaves what it leaves on a list of readings.
func TestLedgerAgreesWithAPlainOne(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var l ledger
		var p plainLedger
		for range 400 {
			work(t, rng, &l, &p)
			compare(t, &l, &p)
		}
	}
}

func work(t *testing.T, rng *rand.Rand, l *ledger, p *plainLedger) {
	t.Helper()
	some := func() (from, to uint64) {
		from = l.head + rng.Uint64N(l.tail-l.head+1)
		return from, from + rng.Uint64N(l.tail-from+3)
	}
	switch rng.IntN(9) {
	default:
		for range rng.IntN(8) {
			l.push()
			p.marks = append(p.marks, extent{})
		}
	case 1, 2, 3:
		from, to := l.pending()
		if from == to {
			return
		}
		n, epoch := 1+rng.IntN(int(to-from)), wattveil.Epoch(250+rng.IntN(12))
		fresh := 0
		p.each(from, from+uint64(n), func(e *extent) {
			if !e.sent {
				fresh++
			}
			e.sealed, e.epoch = true, epoch
		})
		if got := l.seal(from, n, epoch); got != fresh {
			t.Fatalf("%d fresh readings, want %d", got, fresh)
		}
		if rng.IntN(4) > 0 {
			l.acknowledge(from, n)
			p.each(from, from+uint64(n), func(e *extent) { e.sent = true })
		}
	case 4:
		low := wattveil.Epoch(250 + rng.IntN(12)).Low()
		l.refuse(low)
		p.each(l.head, l.tail, func(e *extent) {
			if e.sealed && e.epoch != 0 && e.epoch.Low() == low {
				e.sealed, e.epoch = false, 0
			}
		})
	case 5:
		from, to := some()
		want := p.each(from, to, func(e *extent) {
			if e.sealed && e.sent {
				e.sealed, e.epoch = false, 0
			}
		})
		if got := l.ask(from, to); got != want {
			t.Fatalf("%d readings asked for, want %d", got, want)
		}
	case 6:
		_, to := some()
		fresh := 0
		p.each(l.head, to, func(e *extent) {
			if !e.sent {
				fresh++
			}
			*e = extent{sealed: true, sent: true}
		})
		p.done = max(p.done, min(int(to), len(p.marks)))
		if got := l.settle(to); got != fresh {
			t.Fatalf("%d settled that were not sent, want %d", got, fresh)
		}
	case 7:
		head := l.head + rng.Uint64N(l.tail-l.head+1)/3
		want := 0
		for _, e := range p.marks[p.head:head] {
			if !e.sealed {
				want++
			}
		}
		p.head, p.done = int(head), max(p.done, int(head))
		if got := l.advance(head); got != want {
			t.Fatalf("%d dropped, want %d", got, want)
		}
	case 8:
		if from, to := l.pending(); from < to {
			l.lose(from)
			p.marks[from] = extent{sealed: true, sent: true}
		}
	}
}

func compare(t *testing.T, l *ledger, p *plainLedger) {
	t.Helper()
	if int(l.head) != p.head || int(l.tail) != len(p.marks) || int(l.done) != p.done || l.unsealed != p.unsealed() {
		t.Fatalf("head %d, tail %d, done %d, unsealed %d; want %d, %d, %d, %d",
			l.head, l.tail, l.done, l.unsealed, p.head, len(p.marks), p.done, p.unsealed())
	}
	at := p.head
	for i, e := range l.extents {
		if i > 0 && e.alike(l.extents[i-1]) || int(e.end) <= at {
			t.Fatalf("extent %d is empty or like the one before", i)
		}
		for ; at < int(e.end); at++ {
			if !p.marks[at].alike(e) {
				t.Fatalf("reading %d stands at %+v, want %+v", at, e, p.marks[at])
			}
		}
	}
	if at != len(p.marks) {
		t.Fatalf("extents end at %d of %d", at, len(p.marks))
	}
	first := p.head
	for first < len(p.marks) && p.marks[first].sealed {
		first++
	}
	if from, to := l.pending(); int(from) != first || from == to && first < len(p.marks) {
		t.Fatalf("pending from %d to %d, want from %d", from, to, first)
	}
}
