package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/wattveil/wattveil"
)

// Sizes of a reading block (spec/protocol.md section 6.1).
const (
	BlockUnit   = 24
	MaxReadings = 255

	blockVersion  = 1 << 4
	blockHead     = 19
	deltaSize     = 4
	deltasInUnit  = BlockUnit / deltaSize
	statusRunSize = 3
)

// BlockSize is the length of a block of n readings, 1 to [MaxReadings]: a
// function of n only, so that a message's length tells n and nothing else.
func BlockSize(n int) int {
	return BlockUnit * ((BlockUnit + deltaSize*(n-1) + BlockUnit - 1) / BlockUnit)
}

// ReadingsIn is the least and the most readings that give a data message of
// this length, which [ParsePrefix] has accepted: all that the length tells.
func ReadingsIn(messageSize int) (least, most int) {
	k := (messageSize - DataOverhead) / BlockUnit
	return max(deltasInUnit*(k-2)+2, 1), min(deltasInUnit*(k-1)+1, MaxReadings)
}

// Fit is how many of the leading readings one block can hold: they follow each
// other at the resolution, their deltas fit 16 bits, and their changes of
// status fit the room that the block's size leaves. limit bounds the answer,
// as [MaxReadings] does. [AppendBlock] takes just as many readings as Fit says;
// Fit is 0 if res is no resolution or the first time does not fit 32 bits.
func Fit(res wattveil.Resolution, readings []wattveil.Reading, limit int) int {
	limit = min(limit, len(readings), MaxReadings)
	if limit < 1 || !starts(res, &readings[0]) {
		return 0
	}
	fit, runs := 1, 0
	for n := 2; n <= limit; n++ {
		prev, next := &readings[n-2], &readings[n-1]
		if _, ok := delta(res, prev, next); !ok {
			break
		}
		if next.Status != prev.Status {
			runs++
		}
		// Room does not grow with every reading, so a later n may hold what
		// this one cannot: go on, and keep the last that fits.
		if runs <= statusRoom(n) {
			fit = n
		}
	}
	return fit
}

func statusRoom(n int) int {
	return (BlockSize(n) - blockHead - deltaSize*(n-1)) / statusRunSize
}

// starts tells whether a block can begin with a reading.
func starts(res wattveil.Resolution, first *wattveil.Reading) bool {
	return res.Code() != 0 && first.Time >= 0 && first.Time <= math.MaxUint32
}

// delta is what a block holds of a reading behind another: import and export
// in the high and low half. It tells whether the reading can stand there.
func delta(res wattveil.Resolution, prev, next *wattveil.Reading) (uint32, bool) {
	in, out := uint64(next.Import.Since(prev.Import)), uint64(next.Export.Since(prev.Export))
	ok := in|out <= math.MaxUint16 && next.Time-prev.Time == int64(res) && next.Time <= math.MaxUint32
	return uint32(in<<16 | out), ok
}

// AppendBlock appends the block of all readings to dst. It fails if they do
// not fit one block; [Fit] tells how many do.
func AppendBlock(dst []byte, res wattveil.Resolution, readings []wattveil.Reading) ([]byte, error) {
	n := len(readings)
	if n < 1 || n > MaxReadings || !starts(res, &readings[0]) {
		return dst, fmt.Errorf("%w: no block of %d readings at %v", Malformed, n, res)
	}
	out := slices.Grow(dst, BlockSize(n))[:len(dst)+BlockSize(n)]
	block := out[len(dst):]
	putHead(block, res, byte(n), &readings[0])
	deltas, runs := block[blockHead:blockHead+deltaSize*(n-1)], block[blockHead+deltaSize*(n-1):]
	clear(runs)
	for i := 1; i < n; i++ {
		prev, next := &readings[i-1], &readings[i]
		d, ok := delta(res, prev, next)
		changed := next.Status != prev.Status
		if !ok || changed && len(runs) < statusRunSize {
			return dst, fmt.Errorf("%w: reading %d of %d does not fit the block", Malformed, i+1, n)
		}
		binary.BigEndian.PutUint32(deltas[deltaSize*(i-1):], d)
		if changed {
			runs[0] = byte(i)
			binary.BigEndian.PutUint16(runs[1:], uint16(next.Status))
			runs = runs[statusRunSize:]
		}
	}
	return out, nil
}

// putHead writes what stands before the deltas.
func putHead(block []byte, res wattveil.Resolution, n byte, first *wattveil.Reading) {
	block[0], block[1], block[2] = blockVersion, res.Code(), n
	binary.BigEndian.PutUint32(block[3:], uint32(first.Time))
	putRegister(block[7:], first.Import)
	putRegister(block[12:], first.Export)
	binary.BigEndian.PutUint16(block[17:], uint16(first.Status))
}

// putRegister writes the low 5 bytes of a register: its value modulo 2^40.
func putRegister(dst []byte, r wattveil.Register) {
	dst[0] = byte(r >> 32)
	binary.BigEndian.PutUint32(dst[1:], uint32(r))
}
