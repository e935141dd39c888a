package main

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"slices"
	"strings"

	plain "github.com/wattveil/wattveil/internal/plain/clpke"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

const (
	roleMeter = 1
	roleTTP   = 2
)

// key is a key with every secret that led to it.
type key struct {
	name       string
	role       byte
	uc         uint32
	owner      []byte
	x, z, s, d *big.Int
	public     plain.PublicKey
}

func newKey(name string, role byte, uc uint32, owner []byte, x, z, s *big.Int) key {
	identity := binary.BigEndian.AppendUint32([]byte{role}, uc)
	k := key{name: name, role: role, uc: uc, owner: owner, x: x, z: z, s: s}
	k.public = plain.PublicKey{
		Identity: append(identity, owner...),
		Omega:    plain.Mul(s, plain.Base()),
		Mu:       plain.Mul(z, plain.Base()),
		Master:   plain.Mul(x, plain.Base()),
	}
	k.d = k.public.Partial(x, s)
	if !k.public.Check(k.d) {
		panic("the partial key of " + name + " fails its own check")
	}
	return k
}

func (k key) partial() []byte {
	return append(plain.Compress(k.public.Omega), plain.Scalar32(k.d)...)
}

func (k key) vector() vectors.Key {
	return vectors.Key{
		Name: k.name, Role: k.role, UC: k.uc, Owner: k.owner, Identity: k.public.Identity,
		X: plain.Scalar32(k.x), Master: plain.Compress(k.public.Master),
		Z: plain.Scalar32(k.z), Mu: plain.Compress(k.public.Mu),
		S: plain.Scalar32(k.s), Omega: plain.Compress(k.public.Omega),
		H1: plain.Scalar32(k.public.H1()), D: plain.Scalar32(k.d), Partial: k.partial(),
	}
}

func an(pseudonym uint64) []byte { return binary.BigEndian.AppendUint64(nil, pseudonym) }

// keys are those that the other vectors name. All but "edge" have one master.
func keys() []key {
	x := scalar("x")
	one := big.NewInt(1)
	last := new(big.Int).Sub(plain.Order(), one)
	return []key{
		newKey("meter", roleMeter, 7, an(0x0123456789abcdef), x, scalar("meter z"), scalar("meter s")),
		newKey("neighbour", roleMeter, 7, an(0x0123456789abcdf0), x, scalar("neighbour z"), scalar("neighbour s")),
		newKey("same z, other utility", roleMeter, 8, an(0x0123456789abcdef), x, scalar("meter z"), scalar("utility 8 s")),
		newKey("ttp", roleTTP, 7, []byte("ttp.example"), x, scalar("ttp z"), scalar("ttp s")),
		newKey("ttp of one letter", roleTTP, 7, []byte("T"), x, scalar("short z"), scalar("short s")),
		newKey("ttp of 64 letters", roleTTP, 4294967295, []byte(strings.Repeat("ttp ~", 12)+"ttp!"), x, scalar("long z"), scalar("long s")),
		newKey("ttp named like a meter", roleTTP, 7, []byte("meter no"), x, scalar("alike z"), scalar("alike s")),
		newKey("edge", roleMeter, 0, an(0), last, one, last),
	}
}

func points() []vectors.Point {
	g := plain.Compress(plain.Base())
	pick := func(prefix byte, rest []byte) []byte { return append([]byte{prefix}, rest...) }
	prime := plain.FieldPrime()
	full := append(pick(4, g[1:]), plain.Scalar32(plain.Base().Y)...)
	good, off := smallX()
	bad := func(name string, encoding []byte) vectors.Point {
		return vectors.Point{Name: name, Encoding: encoding, Class: vectors.Malformed}
	}
	return []vectors.Point{
		{Name: "base point, y odd", Encoding: g},
		{Name: "base point negated, y even", Encoding: pick(2, g[1:])},
		{Name: "smallest x", Encoding: pick(2, plain.Scalar32(good))},
		bad("no bytes", nil),
		bad("infinity", []byte{0}),
		bad("infinity padded to 33 bytes", make([]byte, 33)),
		bad("infinity's prefix with an x", pick(0, g[1:])),
		bad("uncompressed form", full),
		bad("uncompressed form's prefix in 33 bytes", pick(4, g[1:])),
		bad("hybrid form's prefix in 33 bytes", pick(7, g[1:])),
		bad("hybrid form", pick(7, full[1:])),
		bad("one byte short", g[:32]),
		bad("one byte more", append(bytes.Clone(g), 0)),
		bad("x alone", g[1:]),
		bad("x without a point", pick(2, plain.Scalar32(off))),
		bad("x is the prime", pick(2, plain.Scalar32(prime))),
		bad("x is a good one plus the prime", pick(2, plain.Scalar32(new(big.Int).Add(prime, good)))),
		bad("x is 2^256-1", pick(3, bytes.Repeat([]byte{0xff}, 32))),
	}
}

// smallX finds the smallest x of a point and the smallest x without one.
func smallX() (good, off *big.Int) {
	for i := int64(0); good == nil || off == nil; i++ {
		x := big.NewInt(i)
		_, err := plain.Decompress(append([]byte{2}, plain.Scalar32(x)...))
		if err == nil && good == nil {
			good = x
		}
		if err != nil && off == nil {
			off = x
		}
	}
	return good, off
}

// badPoint is 33 bytes that are no point.
func badPoint() []byte {
	_, off := smallX()
	return append([]byte{2}, plain.Scalar32(off)...)
}

func partials(k []key) []vectors.Partial {
	meter, neighbour, sameZ, edge := k[0], k[1], k[2], k[7]
	omega, d := meter.partial()[:33], meter.d
	with := func(omega, d []byte) []byte { return slices.Concat(omega, d) }
	entry := func(name, class string, partial []byte) vectors.Partial {
		return vectors.Partial{Name: name, Key: meter.name, Partial: partial, Class: class}
	}
	return []vectors.Partial{
		entry("own", "", meter.partial()),
		{Name: "own, numbers at their ends", Key: edge.name, Partial: edge.partial()},
		entry("of another identity and user value", vectors.PartialKey, neighbour.partial()),
		entry("of another utility with the same user value", vectors.PartialKey, sameZ.partial()),
		entry("d plus 1", vectors.PartialKey, with(omega, offset(d, 1))),
		entry("d negated", vectors.PartialKey, with(omega, plain.Scalar32(new(big.Int).Sub(plain.Order(), d)))),
		entry("another ω", vectors.PartialKey, with(neighbour.partial()[:33], plain.Scalar32(d))),
		entry("ω negated", vectors.PartialKey, with(append([]byte{omega[0] ^ 1}, omega[1:]...), plain.Scalar32(d))),
		entry("d is s, without the master", vectors.PartialKey, with(omega, plain.Scalar32(meter.s))),
		entry("H1 without the user value", vectors.PartialKey, unbound(meter)),
		entry("d is 0", vectors.Malformed, with(omega, make([]byte, 32))),
		entry("d is n", vectors.Malformed, with(omega, offset(plain.Order(), 0))),
		entry("d is 2^256-1", vectors.Malformed, with(omega, bytes.Repeat([]byte{0xff}, 32))),
		entry("ω is infinity, padded", vectors.Malformed, with(make([]byte, 33), plain.Scalar32(d))),
		entry("ω is no point", vectors.Malformed, with(badPoint(), plain.Scalar32(d))),
		entry("one byte short", vectors.Malformed, meter.partial()[:64]),
		entry("one byte more", vectors.Malformed, append(meter.partial(), 0)),
		entry("no bytes", vectors.Malformed, nil),
	}
}

// unbound is a partial key as one would get it for the same ω and identity but
// another user value: the binding of Lai and Kou must refuse it.
func unbound(k key) []byte {
	other := k.public
	other.Mu = plain.Mul(scalar("another z"), plain.Base())
	return append(plain.Compress(k.public.Omega), plain.Scalar32(other.Partial(k.x, k.s))...)
}
