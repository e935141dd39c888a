package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// TariffTag names a tariff in a history: the first 8 bytes of its digest.
type TariffTag [8]byte

// History is what bills of one meter have told. It is immutable: a decision
// brings a new one. The zero value is that of a meter without bills. It is
// about a thousand bytes for a year of monthly bills, and does not grow after
// that.
type History struct {
	tenancyEnd int64 // end of the last bill of the tenancy, or 0
	entries    []entry
}

// entry is one bill.
type entry struct {
	from, to int64
	tariff   TariffTag
	short    bool
	last     bool // of the tariff
	old      bool // no later bill may overlap it: of what follows only told.lo and told.hi are kept
	told     told
	again    *told // its correction
	demand   []figure
}

// told is what a bill or a correction told: a shape and when.
type told struct {
	lo, hi int64 // the time that the shape is over
	issued int64
	digest Digest
}

// figure is a demand figure of a month and window.
type figure struct {
	month  int // months since January 1970
	window [8]byte
}

// Bills is how many bills the history holds, old ones included.
func (h *History) Bills() int { return len(h.entries) }

// Shapes are the digests of the shapes that a later decision may look up.
// Others need not be kept.
func (h *History) Shapes() []Digest {
	var out []Digest
	for i := range h.entries {
		if e := &h.entries[i]; !e.old {
			out = append(out, e.told.digest)
			if e.again != nil {
				out = append(out, e.again.digest)
			}
		}
	}
	return out
}

// newest is the end of the latest period, or 0.
func (h *History) newest() int64 {
	if len(h.entries) == 0 {
		return 0
	}
	return h.entries[len(h.entries)-1].to
}

// reach is the time that an entry's answers are over.
func (e *entry) reach() (lo, hi int64) {
	lo, hi = e.told.lo, e.told.hi
	if e.again != nil {
		lo, hi = min(lo, e.again.lo), max(hi, e.again.hi)
	}
	return lo, hi
}

// with is the history with an entry added or replaced at its place, and what
// has become old dropped.
func (h *History) with(g *Gate, e entry, at int, replace bool) *History {
	out := &History{tenancyEnd: h.tenancyEnd}
	if replace {
		out.entries = slices.Clone(h.entries)
		out.entries[at] = e
	} else {
		out.entries = slices.Insert(slices.Clone(h.entries), at, e)
	}
	out.age(g)
	return out
}

// age makes entries old that no later bill can overlap, directly or through
// others, and drops those that no count needs any more.
func (h *History) age(g *Gate) {
	horizon := h.newest() - int64(g.s.CorrectableFor)*secondsPerDay
	forget := horizon - 366*secondsPerDay
	h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return e.old && e.to < forget })
	// Entries that overlap follow each other: a run of them is old as a whole.
	for i := 0; i < len(h.entries); {
		if h.entries[i].old {
			i++
			continue
		}
		_, hi := h.entries[i].reach()
		j := i + 1
		for ; j < len(h.entries) && !h.entries[j].old; j++ {
			lo, next := h.entries[j].reach()
			if lo >= hi {
				break
			}
			hi = max(hi, next)
		}
		if hi < horizon {
			for k := i; k < j; k++ {
				e := &h.entries[k]
				lo, hi := e.reach()
				*e = entry{from: e.from, to: e.to, tariff: e.tariff, short: e.short, last: e.last, old: true, told: told{lo: lo, hi: hi}}
			}
		}
		i = j
	}
}

const (
	historyVersion = 1
	maxEntries     = 1 << 12
	maxFigures     = 255
	maxMonth       = 1<<16 - 1
)

// The flags of an entry.
const (
	flagShort = 1 << iota
	flagLast
	flagOld
	flagCorrected
	flagsKnown = flagShort | flagLast | flagOld | flagCorrected
)

// Bytes is the history's canonical encoding (spec/gate.md section 7).
func (h *History) Bytes() []byte {
	b := make([]byte, 0, 8+len(h.entries)*120)
	b = append(b, historyVersion)
	b = appendTime(b, h.tenancyEnd)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.entries)))
	for i := range h.entries {
		b = h.entries[i].append(b)
	}
	return b
}

func (e *entry) append(b []byte) []byte {
	var flags byte
	for _, f := range [...]struct {
		on  bool
		bit byte
	}{{e.short, flagShort}, {e.last, flagLast}, {e.old, flagOld}, {e.again != nil, flagCorrected}} {
		if f.on {
			flags |= f.bit
		}
	}
	b = append(b, flags)
	b = appendTime(b, e.from)
	b = appendTime(b, e.to)
	b = append(b, e.tariff[:]...)
	if e.old {
		return appendTime(appendTime(b, e.told.lo), e.told.hi)
	}
	b = e.told.append(b)
	if e.again != nil {
		b = e.again.append(b)
	}
	b = append(b, byte(len(e.demand)))
	for _, f := range e.demand {
		b = binary.BigEndian.AppendUint16(b, uint16(f.month))
		b = append(b, f.window[:]...)
	}
	return b
}

func (t *told) append(b []byte) []byte {
	b = appendTime(b, t.lo)
	b = appendTime(b, t.hi)
	b = appendTime(b, t.issued)
	return append(b, t.digest[:]...)
}

// ParseHistory reads what [History.Bytes] wrote. No bytes are the history of a
// meter without bills.
func ParseHistory(b []byte) (*History, error) {
	if len(b) == 0 {
		return &History{}, nil
	}
	r := &reader{b: b}
	if v := r.byte(); v != historyVersion {
		return nil, fmt.Errorf("gate: history of version %d, want %d", v, historyVersion)
	}
	h := &History{tenancyEnd: r.time()}
	n := r.uint16()
	if n > maxEntries {
		r.fail("it has too many bills")
	}
	for i := 0; i < n && r.err == nil; i++ {
		e := r.entry()
		if i > 0 && e.from < h.entries[i-1].to {
			r.fail("its bills overlap or are out of order")
		}
		h.entries = append(h.entries, e)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("something follows it")
	}
	if r.err != nil {
		return nil, fmt.Errorf("gate: history: %w", r.err)
	}
	return h, nil
}

func (r *reader) entry() entry {
	flags := r.byte()
	e := entry{from: r.time(), to: r.time(), tariff: TariffTag(r.take(8))}
	e.short, e.last, e.old = flags&flagShort != 0, flags&flagLast != 0, flags&flagOld != 0
	corrected := flags&flagCorrected != 0
	if flags&^flagsKnown != 0 || e.old && corrected || e.to <= e.from {
		r.fail("a bill's flags or times do not fit")
		return entry{}
	}
	if e.old {
		e.told.lo, e.told.hi = r.time(), r.time()
		r.spans(&e, e.told)
		return e
	}
	e.told = r.told(&e)
	if corrected {
		again := r.told(&e)
		e.again = &again
	}
	n := int(r.byte())
	for i := 0; i < n && r.err == nil; i++ {
		f := figure{r.uint16(), [8]byte(r.take(8))}
		if i > 0 && f.compare(e.demand[i-1]) <= 0 {
			r.fail("demand figures repeat or are out of order")
		}
		e.demand = append(e.demand, f)
	}
	return e
}

func (r *reader) told(e *entry) told {
	t := told{lo: r.time(), hi: r.time(), issued: r.time(), digest: Digest(r.take(len(Digest{})))}
	r.spans(e, t)
	return t
}

// spans checks that what a bill told is over its whole period.
func (r *reader) spans(e *entry, t told) {
	if t.lo > e.from || t.hi < e.to {
		r.fail("what a bill told is shorter than its period")
	}
}

func (f figure) compare(g figure) int {
	if f.month != g.month {
		return f.month - g.month
	}
	return bytes.Compare(f.window[:], g.window[:])
}

var errForeign = errors.New("gate: the shape was not made by this gate: make it with NewShape or WithGaps")
