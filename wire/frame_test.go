package wire_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// The lengths of spec/protocol.md section 3.
func TestParsePrefixLengths(t *testing.T) {
	data := make(map[int]bool)
	for k := 1; k <= 44; k++ {
		data[46+24*k] = true
	}
	between := func(least, most int) func(int) bool {
		return func(n int) bool { return n >= least && n <= most }
	}
	fits := map[byte]func(int) bool{
		0x01: func(n int) bool { return data[n] },
		0x02: between(43, 4096),
		0x03: between(74, 74),
		0x04: between(99, 99),
		0x42: between(43, 4096),
		0x44: between(136, 4096),
		0x45: between(66, 66),
		0x46: between(42, 42),
		0x47: between(190, 190),
		0x48: between(50, 50),
	}
	frame := make([]byte, 4200)
	binary.BigEndian.PutUint64(frame[1:], 0x1122334455667788)
	for kind := range 256 {
		frame[0] = byte(kind)
		for n := range frame {
			if n > 200 && n < 4000 && fits[byte(kind)] == nil {
				continue
			}
			want := n > 0 && fits[byte(kind)] != nil && fits[byte(kind)](n)
			got, id, err := wire.ParsePrefix(frame[:n])
			if want != (err == nil) || err != nil && !errors.Is(err, wire.Malformed) {
				t.Fatalf("type %#x of %d bytes: %v", kind, n, err)
			}
			if err == nil && (byte(got) != byte(kind) || id != 0x1122334455667788) {
				t.Fatalf("type %#x of %d bytes reads as %v of %v", kind, n, got, id)
			}
		}
	}
}

func TestTypes(t *testing.T) {
	for _, tt := range []struct {
		kind wire.Type
		name string
		up   bool
	}{
		{wire.TypeData, "data", true},
		{wire.TypeM1, "M1", true},
		{wire.TypeM3, "M3", true},
		{wire.TypeRegister, "registration request", true},
		{wire.TypeM2, "M2", false},
		{wire.TypeRegistered, "registration answer", false},
		{wire.TypeRegRefused, "registration refusal", false},
		{wire.TypeRekeyNotice, "rekey notice", false},
		{wire.TypeReceipt, "receipt", false},
		{wire.TypeMoveNotice, "move notice", false},
		{0, "type 0x00", false},
		{5, "type 0x05", false},
		{0xff, "type 0xff", false},
	} {
		if tt.kind.String() != tt.name || tt.kind.Uplink() != tt.up {
			t.Errorf("%#x is %v, up %v", byte(tt.kind), tt.kind, tt.kind.Uplink())
		}
	}
}

func TestVerdicts(t *testing.T) {
	names := map[wire.Verdict]string{1: "durable", 2: "later", 3: "rekey", 4: "never"}
	for i := range 256 {
		v := wire.Verdict(i)
		name, ok := names[v]
		if !ok {
			name = "invalid"
		}
		if v.Valid() != ok || v.String() != name {
			t.Errorf("%d is %v, valid %v", i, v, v.Valid())
		}
	}
	if wire.Forged.Error() != "forged" {
		t.Error("a class's text is not its word")
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	header := append([]byte{1}, make([]byte, 13)...)
	if _, err := wire.ParseHeader(header); err != nil {
		t.Error(err)
	}
	for _, b := range [][]byte{nil, header[:13], append([]byte{2}, header[1:]...)} {
		if _, err := wire.ParseHeader(b); !errors.Is(err, wire.Malformed) {
			t.Errorf("header %x: %v", b, err)
		}
	}
}

// Turning any bit of a sealed registration frame, or of the request that it
// answers, makes its receiver refuse it; so does another meter's secret.
func TestEveryBitOfRegistrationCounts(t *testing.T) {
	const id = wattveil.MeterID(0x1122334455667788)
	secret := wire.NewSecret()
	request := secret.Register(id, wire.RegisterRequest{Time: literalTime})
	answer := secret.Registered(id, request, wire.Registered{Time: literalTime, Statement: []byte("statement")})
	refusal := secret.RefuseRegister(id, request, wire.RegisterRefusal{Time: literalTime})
	open := map[string]struct {
		frame []byte
		open  func(s wire.Secret, request, frame []byte) error
	}{
		"request": {request, func(s wire.Secret, _, frame []byte) error { _, err := s.OpenRegister(id, frame); return err }},
		"answer": {answer, func(s wire.Secret, request, frame []byte) error {
			_, err := s.OpenRegistered(id, request, frame)
			return err
		}},
		"refusal": {refusal, func(s wire.Secret, request, frame []byte) error {
			_, err := s.OpenRegisterRefusal(id, request, frame)
			return err
		}},
	}
	for name, f := range open {
		if err := f.open(secret, request, f.frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.open(wire.NewSecret(), request, f.frame); !errors.Is(err, wire.Forged) {
			t.Errorf("%s under another secret: %v", name, err)
		}
		everyBit(f.frame, func(bit int) {
			err := f.open(secret, request, f.frame)
			if !errors.Is(err, wire.Forged) && (bit >= 9*8 || !errors.Is(err, wire.Malformed)) {
				t.Errorf("%s with bit %d turned: %v", name, bit, err)
			}
		})
		if name == "request" {
			continue
		}
		everyBit(request, func(bit int) {
			if err := f.open(secret, request, f.frame); !errors.Is(err, wire.Forged) {
				t.Errorf("%s to a request with bit %d turned: %v", name, bit, err)
			}
		})
	}
}

// everyBit turns each bit of b for one call of f and turns it back.
func everyBit(b []byte, f func(bit int)) {
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		f(bit)
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestEveryBitOfControlCounts(t *testing.T) {
	const id = wattveil.MeterID(0x1122334455667788)
	secret := wire.NewSecret()
	for _, frame := range [][]byte{
		secret.Tagged(id, wire.Exchange{Type: wire.TypeM1, Low: 1, Body: []byte("body")}),
		secret.Tagged(id, wire.Exchange{Type: wire.TypeM2, Low: 1, Body: []byte("body")}),
		secret.Tagged(id, wire.Exchange{Type: wire.TypeM3, Low: 1, Body: make([]byte, wire.ConfirmSize)}),
		secret.RekeyNotice(id, 1),
		secret.MoveNotice(id, 900),
	} {
		everyBit(frame, func(bit int) {
			_, errX := secret.OpenTagged(id, frame)
			_, errN := secret.OpenRekeyNotice(id, frame)
			_, errM := secret.OpenMoveNotice(id, frame)
			if errX == nil || errN == nil || errM == nil {
				t.Errorf("type %#x with bit %d turned is accepted", frame[0], bit)
			}
		})
	}
}

// No two frames of one content are alike, and no R comes twice.
func TestSealingIsRandom(t *testing.T) {
	const id = 1
	secret := wire.NewSecret()
	seen := map[string]bool{}
	for range 64 {
		for _, frame := range [][]byte{secret.Register(id, wire.RegisterRequest{}), secret.RekeyNotice(id, 0)} {
			r := frame[len(frame)-16-16:]
			if frame[0] == byte(wire.TypeRegister) {
				r = frame[9:25]
			}
			if key := string(r[:16]); seen[key] {
				t.Fatal("an R comes twice")
			} else {
				seen[key] = true
			}
		}
	}
}
