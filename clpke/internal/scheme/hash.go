package scheme

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/bigmod"
)

// hashSize is how many bytes of a hash are reduced to a scalar: 16 more than n
// has, so that the bias is below 2^-128 (spec/clpke.md section 3).
const hashSize = 48

// hashToScalar is H of spec/clpke.md section 3.
func hashToScalar(tag string, input []byte) (*Scalar, error) {
	var u [hashSize]byte
	if err := expandMessageXMD(u[:], tag, input); err != nil {
		return nil, err
	}
	return reduce(&u)
}

// expandMessageXMD fills out as RFC 9380 section 5.3.1 does with SHA-256. out
// is 1 to 8,160 bytes; the tag is 1 to 255 bytes.
func expandMessageXMD(out []byte, tag string, msg []byte) error {
	if len(out) == 0 || len(out) > 255*sha256.Size || tag == "" || len(tag) > 255 {
		return fmt.Errorf("expand a message to %d bytes under a tag of %d bytes: out of range", len(out), len(tag))
	}
	suffix := append([]byte(tag), byte(len(tag)))
	var zeros [sha256.BlockSize]byte
	h := sha256.New()
	h.Write(zeros[:])
	h.Write(msg)
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(out))))
	h.Write([]byte{0})
	h.Write(suffix)
	first := h.Sum(nil)

	var block [sha256.Size]byte
	for i := 1; len(out) > 0; i++ {
		for j := range block {
			block[j] ^= first[j]
		}
		h.Reset()
		h.Write(block[:])
		h.Write([]byte{byte(i)})
		h.Write(suffix)
		h.Sum(block[:0])
		out = out[copy(out, block[:]):]
	}
	return nil
}

// reduce is u mod n in constant time: the upper half times 2^192 plus the
// lower half, each of which is below n as it stands.
func reduce(u *[hashSize]byte) (*Scalar, error) {
	shift := [hashSize/2 + 1]byte{1}
	high, errHigh := bigmod.NewNat().SetBytes(u[:hashSize/2], order)
	low, errLow := bigmod.NewNat().SetBytes(u[hashSize/2:], order)
	factor, errFactor := bigmod.NewNat().SetBytes(shift[:], order)
	if err := errors.Join(errHigh, errLow, errFactor); err != nil {
		return nil, fmt.Errorf("reduce a hash: %w", err)
	}
	x := high.Mul(factor, order).Add(low, order)
	if x.IsZero() == 1 {
		return nil, errors.New("hash of 0")
	}
	return &Scalar{b: [ScalarSize]byte(x.Bytes(order))}, nil
}
