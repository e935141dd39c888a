package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
)

// Type is the first byte of a frame.
type Type byte

// The frame types of spec/protocol.md section 3.
const (
	TypeData     Type = 0x01
	TypeM1       Type = 0x02
	TypeM3       Type = 0x03
	TypeRegister Type = 0x04

	TypeM2           Type = 0x42
	TypeRegistered   Type = 0x44
	TypeRegRefused   Type = 0x45
	TypeRekeyNotice  Type = 0x46
	TypeReceipt      Type = 0x47
	TypeMoveNotice   Type = 0x48
	maxUplinkType         = TypeRegister
	downlinkTypeMask Type = 0x40
)

// Sizes of spec/protocol.md, in bytes.
const (
	MaxFrame = 4096
	SaltSize = 16 // R
	TagSize  = 16 // GCM and UC tags

	HeaderSize     = 14 // of a data message
	prefixSize     = 1 + 8
	controlPrefix  = prefixSize + 1 + SaltSize // type, ID_SM, epoch low, R
	DataOverhead   = HeaderSize + 2*TagSize
	ConfirmSize    = 32
	noticeSize     = controlPrefix + TagSize
	moveNoticeSize = controlPrefix + 8 + TagSize
	minDataSize    = DataOverhead + BlockUnit
	maxDataSize    = DataOverhead + BlockUnit*((24+4*(MaxReadings-1)+23)/24)
	confirmFrame   = controlPrefix + ConfirmSize + TagSize
	minControlSize = controlPrefix + 1 + TagSize
)

// String names the type.
func (t Type) String() string {
	switch t {
	case TypeData:
		return "data"
	case TypeM1:
		return "M1"
	case TypeM2:
		return "M2"
	case TypeM3:
		return "M3"
	case TypeRegister:
		return "registration request"
	case TypeRegistered:
		return "registration answer"
	case TypeRegRefused:
		return "registration refusal"
	case TypeRekeyNotice:
		return "rekey notice"
	case TypeReceipt:
		return "receipt"
	case TypeMoveNotice:
		return "move notice"
	default:
		return fmt.Sprintf("type 0x%02x", byte(t))
	}
}

// ParsePrefix reads type and ID_SM of a frame and checks its length against
// the bounds of its type, which is all that a collector can check.
func ParsePrefix(frame []byte) (Type, wattveil.MeterID, error) {
	if len(frame) < prefixSize {
		return 0, 0, fmt.Errorf("%w: frame of %d bytes, want at least %d", Malformed, len(frame), prefixSize)
	}
	t := Type(frame[0])
	if !lengthFits(t, len(frame)) {
		return 0, 0, fmt.Errorf("%w: %v of %d bytes", Malformed, t, len(frame))
	}
	return t, wattveil.MeterID(binary.BigEndian.Uint64(frame[1:])), nil
}

// Uplink tells whether a frame of type t goes from the meter to the utility.
func (t Type) Uplink() bool { return t >= TypeData && t <= maxUplinkType }

func lengthFits(t Type, n int) bool {
	switch t {
	case TypeData:
		return n >= minDataSize && n <= maxDataSize && (n-DataOverhead)%BlockUnit == 0
	case TypeM1, TypeM2:
		return n >= minControlSize && n <= MaxFrame
	case TypeM3:
		return n == confirmFrame
	case TypeRegister:
		return n == registerSize
	case TypeRegistered:
		return n >= minAnswer && n <= MaxFrame
	case TypeRegRefused:
		return n == refusalSize
	case TypeRekeyNotice:
		return n == noticeSize
	case TypeReceipt:
		return n == receiptFrame
	case TypeMoveNotice:
		return n == moveNoticeSize
	default:
		return false
	}
}

func (t Type) direction() byte {
	if t&downlinkTypeMask != 0 {
		return 1
	}
	return 0
}

func appendPrefix(dst []byte, t Type, id wattveil.MeterID) []byte {
	dst = append(dst, byte(t))
	return binary.BigEndian.AppendUint64(dst, uint64(id))
}
