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
	statusRunSize = 3
	registerBytes = 5
)

// BlockSize is the length of a block of n readings, 1 to [MaxReadings]: a
// function of n only, so that a message's length tells n and nothing else.
func BlockSize(n int) int {
	return BlockUnit * ((BlockUnit + deltaSize*(n-1) + BlockUnit - 1) / BlockUnit)
}

// ReadingsIn is the number of readings that a data message of this length can
// hold at the most, and the least number that would give that length.
func ReadingsIn(messageSize int) (least, most int) {
	k := (messageSize - DataOverhead) / BlockUnit
	most = min(6*(k-1)+1, MaxReadings)
	return max(most-5, 1), most
}

// Fit is how many of the leading readings one block can hold: they follow each
// other at the resolution, their deltas fit 16 bits, and their changes of
// status fit the room that the block's size leaves. limit bounds the answer
// and is at most [MaxReadings].
func Fit(res wattveil.Resolution, readings []wattveil.Reading, limit int) int {
	limit = min(limit, len(readings), MaxReadings)
	if limit == 0 {
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
	code := res.Code()
	if code == 0 || n == 0 {
		return dst, fmt.Errorf("%w: block of %d readings at %v", Malformed, n, res)
	}
	first := readings[0]
	if first.Time < 0 || first.Time > math.MaxUint32 || Fit(res, readings, n) != n {
		return dst, fmt.Errorf("%w: %d readings do not fit one block", Malformed, n)
	}
	size := len(dst) + BlockSize(n)
	dst = append(dst, blockVersion, code, byte(n))
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
