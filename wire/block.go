package wire

import (
	"encoding/binary"
	"fmt"
	"math"

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
	registerBytes = 5
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
	if limit < 1 || res.Code() == 0 || readings[0].Time < 0 || readings[0].Time > math.MaxUint32 {
		return 0
	}
	fit, runs := 1, 0
	for n := 2; n <= limit; n++ {
		prev, next := readings[n-2], readings[n-1]
		if next.Time-prev.Time != int64(res) || next.Time > math.MaxUint32 || !deltaFits(prev, next) {
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

func deltaFits(prev, next wattveil.Reading) bool {
	return next.Import.Since(prev.Import) <= math.MaxUint16 && next.Export.Since(prev.Export) <= math.MaxUint16
}

// AppendBlock appends the block of all readings to dst. It fails if they do
// not fit one block; [Fit] tells how many do.
func AppendBlock(dst []byte, res wattveil.Resolution, readings []wattveil.Reading) ([]byte, error) {
	n := len(readings)
	if n == 0 || Fit(res, readings, n) != n {
		return dst, fmt.Errorf("%w: %d readings at %v do not fit one block", Malformed, n, res)
	}
	first, size := readings[0], len(dst)+BlockSize(n)
	dst = append(dst, blockVersion, res.Code(), byte(n))
	dst = binary.BigEndian.AppendUint32(dst, uint32(first.Time))
	dst = appendRegister(dst, first.Import)
	dst = appendRegister(dst, first.Export)
	dst = binary.BigEndian.AppendUint16(dst, uint16(first.Status))
	for i := 1; i < n; i++ {
		dst = binary.BigEndian.AppendUint16(dst, uint16(readings[i].Import.Since(readings[i-1].Import)))
		dst = binary.BigEndian.AppendUint16(dst, uint16(readings[i].Export.Since(readings[i-1].Export)))
	}
	for i := 1; i < n; i++ {
		if readings[i].Status != readings[i-1].Status {
			dst = append(dst, byte(i))
			dst = binary.BigEndian.AppendUint16(dst, uint16(readings[i].Status))
		}
	}
	for len(dst) < size {
		dst = append(dst, 0)
	}
	return dst, nil
}

func appendRegister(dst []byte, r wattveil.Register) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(r)%wattveil.RegisterModulus)
	return append(dst, b[8-registerBytes:]...)
}
