package pebble

import (
	"encoding/binary"

	"github.com/wattveil/wattveil"
)

// The first byte of a key tells what it names.
const (
	kindMeta = 0 // the store's own state
	kindDay  = 1 // the readings of a meter and day
	kindPage = 2 // the digests of a page of an epoch's counters
)

const (
	meterKeyLen = 1 + 4 + 8
	dayKeyLen   = meterKeyLen + 4
	epochKeyLen = meterKeyLen + 4
	pageKeyLen  = epochKeyLen + 4
)

// appendMeterKey appends what the keys of a meter begin with.
func appendMeterKey(dst []byte, kind byte, m wattveil.Meter) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kind), uint32(m.UC))
	return binary.BigEndian.AppendUint64(dst, uint64(m.Pseudonym))
}

// appendDayKey appends the key of a day, counted from 1970-01-01.
func appendDayKey(dst []byte, m wattveil.Meter, day uint32) []byte {
	return binary.BigEndian.AppendUint32(appendMeterKey(dst, kindDay, m), day)
}

// dayOfKey is the day in a key of kindDay.
func dayOfKey(key []byte) uint32 { return binary.BigEndian.Uint32(key[meterKeyLen:]) }

// appendEpochKey appends what the keys of an epoch's pages begin with.
func appendEpochKey(dst []byte, m wattveil.Meter, e wattveil.Epoch) []byte {
	return binary.BigEndian.AppendUint32(appendMeterKey(dst, kindPage, m), uint32(e))
}

// appendPageKey appends the key of the page that holds a counter.
func appendPageKey(dst []byte, m wattveil.Meter, e wattveil.Epoch, c wattveil.Counter) []byte {
	return binary.BigEndian.AppendUint32(appendEpochKey(dst, m, e), uint32(c)>>pageBits)
}

// after is the first key that does not begin with prefix. It serves prefixes
// that are not all 0xff.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}

// versionKey holds the number of the layout, stampKey the next free stamp.
func versionKey() []byte { return []byte{kindMeta, 'v'} }
func stampKey() []byte   { return []byte{kindMeta, 's'} }
