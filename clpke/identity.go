package clpke

import (
	"encoding/binary"
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke/internal/scheme"
)

// Role says what kind of party a key belongs to.
type Role byte

// The roles.
const (
	RoleMeter Role = 1
	RoleTTP   Role = 2
)

// String is "meter", "ttp" or "role N".
func (r Role) String() string {
	switch r {
	case RoleMeter:
		return "meter"
	case RoleTTP:
		return "ttp"
	}
	return fmt.Sprintf("role %d", byte(r))
}

const (
	meterNameSize = 8  // bytes of a meter's name, its an-ID
	maxTTPName    = 64 // bytes of the longest TTP name
)

// Identity names the owner of a key (spec/clpke.md section 2). It is
// comparable and public.
type Identity struct {
	Role Role
	UC   wattveil.UCNumber
	// Name is the 8 bytes of a meter's an-ID, big-endian, or a TTP's name of 1
	// to 64 bytes of printable ASCII.
	Name string
}

// MeterIdentity is the identity of a meter.
func MeterIdentity(m wattveil.Meter) Identity {
	var name [meterNameSize]byte
	binary.BigEndian.PutUint64(name[:], uint64(m.Pseudonym))
	return Identity{Role: RoleMeter, UC: m.UC, Name: string(name[:])}
}

// TTPIdentity is the identity of a TTP towards one utility.
// [Identity.Validate] tells whether the name will do.
func TTPIdentity(uc wattveil.UCNumber, name string) Identity {
	return Identity{Role: RoleTTP, UC: uc, Name: name}
}

// Validate fails with [ErrMalformed] on an unknown role or a name that the
// role may not have.
func (id Identity) Validate() error {
	switch id.Role {
	case RoleMeter:
		if len(id.Name) != meterNameSize {
			return fmt.Errorf("%w identity: meter name of %d bytes, want %d", ErrMalformed, len(id.Name), meterNameSize)
		}
	case RoleTTP:
		if len(id.Name) < 1 || len(id.Name) > maxTTPName || !scheme.Printable(id.Name) {
			return fmt.Errorf("%w identity: TTP name %q, want 1 to %d bytes of printable ASCII", ErrMalformed, id.Name, maxTTPName)
		}
	default:
		return fmt.Errorf("%w identity: %v is neither meter nor TTP", ErrMalformed, id.Role)
	}
	return nil
}

// Bytes is the encoding that the hashes take in: role, UC number, name.
func (id Identity) Bytes() []byte {
	b := make([]byte, 0, 5+len(id.Name))
	b = append(b, byte(id.Role))
	b = binary.BigEndian.AppendUint32(b, uint32(id.UC))
	return append(b, id.Name...)
}

// Meter is the meter that a valid identity of [RoleMeter] names; false for any
// other identity.
func (id Identity) Meter() (wattveil.Meter, bool) {
	if id.Role != RoleMeter || id.Validate() != nil {
		return wattveil.Meter{}, false
	}
	an := binary.BigEndian.Uint64([]byte(id.Name))
	return wattveil.Meter{UC: id.UC, Pseudonym: wattveil.Pseudonym(an)}, true
}

// String is the role, then the UC number and the name joined by a slash.
func (id Identity) String() string {
	if m, ok := id.Meter(); ok {
		return "meter " + m.String()
	}
	return fmt.Sprintf("%v %v/%q", id.Role, id.UC, id.Name)
}
