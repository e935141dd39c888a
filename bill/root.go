package bill

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
)

// Intervals computes the readings_root of a bill from its intervals, added in
// rising order: the root of a Merkle tree (RFC 6962) with a leaf for each local
// day (spec/bill.md section 8). With the bill's [Secret] anybody who has the
// readings can compute it again; without it the root tells nothing of them.
//
//	leaf     = SHA-256(0x00 ‖ salt of the day 16 ‖ day's encoding)
//	encoding = version 1 ‖ local day 4 ‖ count 4 ‖ intervals
//	interval = start 5 ‖ seconds 2 ‖ import Wh 5 ‖ export Wh 5 ‖ quality 1
//
// The zero value is to be started with [Intervals.Start]; it keeps its memory
// for the next bill. It holds readings, so it redacts itself; it must not be
// used concurrently.
type Intervals struct {
	days   Days
	mac    hash.Hash
	day    int    // whose encoding is in buf
	end    int64  // of day
	at     int64  // end of the last interval
	buf    []byte // 0x00, salt, encoding
	leaves []Hash
	count  int
	sum    [sha256.Size]byte
	err    error
}

const (
	leafVersion  = 1
	leafHead     = 1 + saltSize + 1 + 4 + 4
	saltSize     = 16
	countAt      = leafHead - 4
	intervalSize = 5 + 2 + 5 + 5 + 1

	// dayContext begins what the salt of a day is made of.
	dayContext = "wattveil1 bill day"
)

// Start begins a bill.
func (r *Intervals) Start(days Days, secret Secret) {
	*r = Intervals{
		days: days, mac: hmac.New(sha256.New, secret[:]), at: days.from,
		buf: r.buf, leaves: slices.Grow(r.leaves[:0], days.Len()),
	}
	r.open(0)
}

// open begins a day: the place of 0x00, its salt, and the head of its encoding.
func (r *Intervals) open(day int) {
	r.day, r.end = day, r.days.end(day)
	number := uint32(r.days.Day(day))
	r.mac.Reset()
	r.buf = append(r.buf[:0], dayContext...)
	r.buf = binary.BigEndian.AppendUint32(r.buf, number)
	r.mac.Write(r.buf)
	salt := r.mac.Sum(r.sum[:0])[:saltSize]
	r.buf = append(append(r.buf[:0], 0), salt...)
	r.buf = append(r.buf, leafVersion)
	r.buf = binary.BigEndian.AppendUint32(r.buf, number)
	r.buf = binary.BigEndian.AppendUint32(r.buf, 0) // the count, known when the day is over
}

// shut ends the day that is open.
func (r *Intervals) shut() {
	binary.BigEndian.PutUint32(r.buf[countAt:], uint32((len(r.buf)-leafHead)/intervalSize))
	r.leaves = append(r.leaves, sha256.Sum256(r.buf))
}

// Add adds the next interval, with its ESPI quality code. What is wrong with
// one is said by [Intervals.Root].
func (r *Intervals) Add(i wattveil.Interval, quality uint8) {
	length := i.End - i.Start
	if i.Start < r.at || i.End > r.days.to || length <= 0 || length > 1<<16-1 ||
		uint64(i.Import) >= wattveil.RegisterModulus || uint64(i.Export) >= wattveil.RegisterModulus {
		r.refuse(i)
		return
	}
	for i.Start >= r.end {
		r.shut()
		r.open(r.day + 1)
	}
	r.at = i.End
	r.count++
	// 5, 2, 5, 5 and 1 bytes, put together as two words and the rest.
	start, imported, exported := uint64(i.Start), uint64(i.Import), uint64(i.Export)
	n := len(r.buf)
	r.buf = slices.Grow(r.buf, intervalSize)[:n+intervalSize]
	to := r.buf[n:]
	binary.BigEndian.PutUint64(to[0:8], start<<24|uint64(length)<<8|imported>>32)
	binary.BigEndian.PutUint64(to[8:16], imported<<32|exported>>8)
	to[16], to[17] = byte(exported), quality
}

func (r *Intervals) refuse(i wattveil.Interval) {
	if r.err == nil {
		at := time.Unix(i.Start, 0).UTC().Format(time.RFC3339)
		r.err = fmt.Errorf("bill: root of readings: the interval at %s is out of order, outside of the period, or has a length or energy that there is not", at)
	}
}

// Count is how many intervals were added.
func (r *Intervals) Count() int { return r.count }

// Root ends the bill and is its readings_root.
func (r *Intervals) Root() (Hash, error) {
	leaves, err := r.Leaves()
	if err != nil {
		return Hash{}, err
	}
	return RootOf(leaves), nil
}

// Leaves ends the bill; they are the leaf hashes of its days. They share the
// memory of r.
func (r *Intervals) Leaves() ([]Hash, error) {
	if r.err != nil {
		return nil, r.err
	}
	for len(r.leaves) < r.days.Len() {
		r.shut()
		if next := r.day + 1; next < r.days.Len() {
			r.open(next)
		}
	}
	return r.leaves, nil
}

// RootOf is the root of a tree with these leaf hashes, of which there is at
// least one.
func RootOf(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	split := 1 // the largest power of two below the number of leaves
	for split*2 < len(leaves) {
		split *= 2
	}
	left, right := RootOf(leaves[:split]), RootOf(leaves[split:])
	var node [1 + 2*sha256.Size]byte
	node[0] = 1
	copy(node[1:], left[:])
	copy(node[1+sha256.Size:], right[:])
	return sha256.Sum256(node[:])
}

// Format redacts under every verb.
func (r *Intervals) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[intervals of a bill]")) }
