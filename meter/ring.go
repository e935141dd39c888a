package meter

import "github.com/wattveil/wattveil"

// slot is a reading as the source gave it, with the epoch that it was sealed
// under: 24 bytes, since a meter keeps thousands.
type slot struct {
	redacted
	time       uint32 // Unix seconds
	epoch      uint32 // 0: not sealed
	importLow  uint32 // registers below 2^40 Wh
	exportLow  uint32
	importHigh uint8
	exportHigh uint8
	status     wattveil.Status
	sent       bool // a message with it was acknowledged
}

func newSlot(r wattveil.Reading) slot {
	imp, exp := uint64(r.Import), uint64(r.Export)
	return slot{
		time:      uint32(r.Time),
		importLow: uint32(imp), importHigh: uint8(imp >> 32),
		exportLow: uint32(exp), exportHigh: uint8(exp >> 32),
		status: r.Status,
	}
}

func (s *slot) reading() wattveil.Reading {
	return wattveil.Reading{
		Time:   int64(s.time),
		Import: wattveil.Register(uint64(s.importHigh)<<32 | uint64(s.importLow)),
		Export: wattveil.Register(uint64(s.exportHigh)<<32 | uint64(s.exportLow)),
		Status: s.status,
	}
}

// ring keeps the newest readings, in the order in which they were taken. It
// numbers them from 0 and grows to its limit as they come.
type ring struct {
	redacted
	slots    []slot
	limit    int
	head     uint64 // the oldest kept
	tail     uint64 // the next to come
	first    uint64 // nothing before it is unsealed
	unsealed int
}

func newRing(limit int) ring { return ring{limit: limit} }

func (g *ring) at(n uint64) *slot { return &g.slots[n%uint64(g.limit)] }

// push adds a reading and tells whether the place that it took was that of one
// that was still to be sealed.
func (g *ring) push(r wattveil.Reading) (dropped bool) {
	if len(g.slots) < g.limit {
		g.slots = append(g.slots, slot{})
	} else {
		if dropped = g.at(g.head).epoch == 0; dropped {
			g.unsealed--
		}
		g.head++
		g.first = max(g.first, g.head)
	}
	*g.at(g.tail) = newSlot(r)
	g.tail++
	g.unsealed++
	return dropped
}

// pending appends to dst, as far as it has room, the oldest readings that are
// to be sealed and follow each other in the ring, and tells where they begin.
func (g *ring) pending(dst []wattveil.Reading) (from uint64, out []wattveil.Reading) {
	if g.unsealed == 0 {
		g.first = g.tail
		return g.first, dst
	}
	for g.first < g.tail && g.at(g.first).epoch != 0 {
		g.first++
	}
	for n := g.first; n < g.tail && len(dst) < cap(dst); n++ {
		s := g.at(n)
		if s.epoch != 0 {
			break
		}
		dst = append(dst, s.reading())
	}
	return g.first, dst
}

// seal notes that n readings were sealed under an epoch and tells how many of
// them were never acknowledged before.
func (g *ring) seal(from uint64, n int, epoch wattveil.Epoch) (fresh int) {
	for i := from; i < from+uint64(n); i++ {
		s := g.at(i)
		s.epoch = uint32(epoch)
		if !s.sent {
			fresh++
		}
	}
	g.unsealed -= n
	g.first = from + uint64(n)
	return fresh
}

// acknowledge notes that a message with n readings was acknowledged.
func (g *ring) acknowledge(from uint64, n int) {
	for i := max(from, g.head); i < from+uint64(n); i++ {
		g.at(i).sent = true
	}
}

// refuse makes pending again what was sealed under an epoch with a low byte.
func (g *ring) refuse(low byte) {
	for n := g.tail; n > g.head; n-- {
		if s := g.at(n - 1); s.epoch != 0 && wattveil.Epoch(s.epoch).Low() == low {
			s.epoch = 0
			g.unsealed++
			g.first = min(g.first, n-1)
		}
	}
}

// clear drops all readings.
func (g *ring) clear() {
	clear(g.slots)
	*g = ring{slots: g.slots[:0], limit: g.limit}
}
