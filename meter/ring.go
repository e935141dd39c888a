package meter

import (
	"github.com/wattveil/wattveil"
)

// Ring keeps the newest readings of a meter and, beside them, what the agent
// knows of their way to the TTP. Readings are numbered as they come and have
// rising times. *ring.Disk keeps them on a disk; without one in its [Config]
// an agent keeps them in memory. One goroutine uses it at a time.
type Ring interface {
	// Load gives the state saved last, nil if there is none, the number of
	// the oldest reading that is kept and that of the next to come. It is
	// called once, at first.
	Load() (state []byte, head, tail uint64, err error)
	// Push adds a reading under the next number and gives the number of the
	// oldest that is kept then. On an error nothing has changed.
	Push(r wattveil.Reading) (head uint64, err error)
	// Read appends to dst, as far as it has room, the readings from a number
	// on, and stops before one that is damaged. If that is the first, it
	// appends none.
	Read(dst []wattveil.Reading, from uint64) ([]wattveil.Reading, error)
	// Save keeps a state in the place of the one before, and sees to it that
	// nothing stays undurable for long. It does not keep the slice.
	Save(state []byte) error
	// Drop forgets the readings below a number, durably.
	Drop(below uint64) error
}

// slot is a reading as the registers gave it, in 16 bytes, since a meter keeps
// thousands.
type slot struct {
	redacted
	time       uint32 // Unix seconds
	importLow  uint32 // registers below 2^40 Wh
	exportLow  uint32
	importHigh uint8
	exportHigh uint8
	status     wattveil.Status
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

// memoryRing is a Ring that a stop empties. It grows to its limit as readings
// come.
type memoryRing struct {
	redacted
	slots []slot
	limit int
	head  uint64
	tail  uint64
}

func newMemoryRing(limit int) *memoryRing { return &memoryRing{limit: limit} }

func (g *memoryRing) at(n uint64) *slot { return &g.slots[n%uint64(g.limit)] }

func (g *memoryRing) Load() (state []byte, head, tail uint64, err error) {
	return nil, g.head, g.tail, nil
}

func (g *memoryRing) Push(r wattveil.Reading) (head uint64, err error) {
	if len(g.slots) < g.limit {
		g.slots = append(g.slots, slot{})
	}
	*g.at(g.tail) = newSlot(r)
	g.tail++
	if g.tail-g.head > uint64(g.limit) {
		g.head++
	}
	return g.head, nil
}

func (g *memoryRing) Read(dst []wattveil.Reading, from uint64) ([]wattveil.Reading, error) {
	for n := max(from, g.head); n < g.tail && len(dst) < cap(dst); n++ {
		dst = append(dst, g.at(n).reading())
	}
	return dst, nil
}

func (g *memoryRing) Save([]byte) error { return nil }

func (g *memoryRing) Drop(below uint64) error {
	for ; g.head < min(below, g.tail); g.head++ {
		*g.at(g.head) = slot{}
	}
	return nil
}
