package main

import (
	"bytes"
	"crypto/sha256"
	"math/big"
	"slices"

	plain "github.com/wattveil/wattveil/internal/plain/clpke"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

const (
	labelStatement = "wattveil1 key statement"
	labelRoot      = "wattveil1 ttp root"
	maxTime        = 1<<63 - 1
)

// statementOf is the statement of a key with a serial.
func statementOf(k key, serial uint32) plain.Statement {
	return plain.Statement{
		UC: k.uc, Role: k.role, Name: k.owner, Serial: serial,
		Omega: plain.Compress(k.public.Omega), Mu: plain.Compress(k.public.Mu), Master: plain.Compress(k.public.Master),
		NotBefore: 1_700_000_000, NotAfter: 1_800_000_000,
	}
}

// sign signs body with the key generation center's key.
func sign(label string, body []byte) []byte {
	return plain.Sign(scalar("signer"), scalar("nonce "+string(body)), label, body)
}

// resign gives the other signature that every ECDSA signature has: s negated.
func resign(signed []byte) []byte {
	cut := len(signed) - 32
	s := new(big.Int).SetBytes(signed[cut:])
	return slices.Concat(signed[:cut], plain.Scalar32(s.Sub(plain.Order(), s)))
}

func statements(k []key) []vectors.Statement {
	signer := plain.Compress(plain.Mul(scalar("signer"), plain.Base()))
	w := statementWriter{signer: signer}
	meter := k[0]
	good := statementOf(meter, 5)
	signed := sign(labelStatement, good.Encode())

	for _, one := range k {
		w.accept("of "+one.name, nil, statementOf(one, 1))
	}
	w.accept("serial at its end, widest validity", nil, alter(good, func(s *plain.Statement) {
		s.Serial, s.NotBefore, s.NotAfter = 4294967295, 0, maxTime
	}))
	w.malformedStatements(good)
	w.refuse("malformed", "no bytes", nil, nil)
	w.refuse("malformed", "a signature alone", nil, signed[len(signed)-64:])
	w.refuse("malformed", "one byte short", nil, signed[:len(signed)-1])
	w.refuse("malformed", "one byte more", nil, append(bytes.Clone(signed), 0))
	w.unsignedStatements(good)

	w.accept("repeat", signed, good)
	w.acceptSigned("repeat with another signature", signed, good, resign(signed))
	w.accept("higher serial", signed, alter(good, func(s *plain.Statement) { s.Serial = 6 }))
	lower := alter(good, func(s *plain.Statement) { s.Serial = 4 })
	w.refuse("serial", "lower serial", signed, sign(labelStatement, lower.Encode()))
	w.refuse("evidence", "same serial, other key", signed, sign(labelStatement, alter(good, func(s *plain.Statement) {
		s.Mu, s.Omega = plain.Compress(k[1].public.Mu), plain.Compress(k[1].public.Omega)
	}).Encode()))
	w.refuse("evidence", "same serial, other validity", signed, sign(labelStatement, alter(good, func(s *plain.Statement) {
		s.NotAfter++
	}).Encode()))
	return w.out
}

func alter(s plain.Statement, f func(*plain.Statement)) plain.Statement {
	f(&s)
	return s
}

// statementWriter collects the entries of statements.json.
type statementWriter struct {
	signer []byte
	out    []vectors.Statement
}

func (w *statementWriter) accept(name string, kept []byte, s plain.Statement) {
	w.acceptSigned(name, kept, s, sign(labelStatement, s.Encode()))
}

func (w *statementWriter) acceptSigned(name string, kept []byte, s plain.Statement, signed []byte) {
	hash := sha256.Sum256(signed)
	w.out = append(w.out, vectors.Statement{
		Name: name, Signer: w.signer, Kept: kept, Signed: signed,
		Role: s.Role, UC: s.UC, Owner: s.Name, Serial: s.Serial,
		Omega: s.Omega, Mu: s.Mu, Master: s.Master,
		NotBefore: int64(s.NotBefore), NotAfter: int64(s.NotAfter), Hash: hash[:],
	})
}

func (w *statementWriter) refuse(class, name string, kept, signed []byte) {
	w.out = append(w.out, vectors.Statement{Name: name, Signer: w.signer, Kept: kept, Signed: signed, Class: class})
}

// malformedStatements adds statements with one fault each, all properly signed.
func (w *statementWriter) malformedStatements(good plain.Statement) {
	for _, c := range []struct {
		name string
		f    func(*plain.Statement)
	}{
		{"role 0", func(s *plain.Statement) { s.Role = 0 }},
		{"role 3", func(s *plain.Statement) { s.Role = 3 }},
		{"meter name of 7 bytes", func(s *plain.Statement) { s.Name = s.Name[:7] }},
		{"meter name of 9 bytes", func(s *plain.Statement) { s.Name = append(bytes.Clone(s.Name), 0) }},
		{"TTP without a name", func(s *plain.Statement) { s.Role, s.Name = roleTTP, nil }},
		{"TTP name of 65 bytes", func(s *plain.Statement) { s.Role, s.Name = roleTTP, bytes.Repeat([]byte("t"), 65) }},
		{"TTP name with a control byte", func(s *plain.Statement) { s.Role, s.Name = roleTTP, []byte("ttp\n") }},
		{"TTP name not in ASCII", func(s *plain.Statement) { s.Role, s.Name = roleTTP, []byte("zähler") }},
		{"ω is infinity, padded", func(s *plain.Statement) { s.Omega = make([]byte, 33) }},
		{"μ is no point", func(s *plain.Statement) { s.Mu = badPoint() }},
		{"Y has the prefix of the uncompressed form", func(s *plain.Statement) { s.Master = append([]byte{4}, s.Master[1:]...) }},
		{"ends as it begins", func(s *plain.Statement) { s.NotAfter = s.NotBefore }},
		{"ends before it begins", func(s *plain.Statement) { s.NotAfter = s.NotBefore - 1 }},
		{"begins beyond 2^63", func(s *plain.Statement) { s.NotBefore, s.NotAfter = 1<<63, 1<<63+1 }},
		{"ends beyond 2^63", func(s *plain.Statement) { s.NotAfter = 1 << 63 }},
	} {
		w.refuse("malformed", c.name, nil, sign(labelStatement, alter(good, c.f).Encode()))
	}
	body := good.Encode()
	body[6]++ // the name's length, so that it takes in a byte of the serial
	w.refuse("malformed", "length of the name is not its length", nil, sign(labelStatement, body))
}

// unsignedStatements adds well-formed statements whose signatures fail.
func (w *statementWriter) unsignedStatements(good plain.Statement) {
	body := good.Encode()
	signed := sign(labelStatement, body)
	r, s := signed[len(body):len(body)+32], signed[len(body)+32:]
	higher := alter(good, func(s *plain.Statement) { s.Serial++ }).Encode()
	zero := make([]byte, 32)
	add := func(name string, signed []byte) {
		if plain.Verify(plain.Mul(scalar("signer"), plain.Base()), labelStatement, signed) {
			panic("statement " + name + " is signed")
		}
		w.refuse("unsigned", name, nil, signed)
	}
	add("signature of another statement", slices.Concat(higher, r, s))
	add("signed by another key", plain.Sign(scalar("impostor"), scalar("impostor nonce"), labelStatement, body))
	add("signed under the label of roots", sign(labelRoot, body))
	add("signed without a label", sign("", body))
	add("r and s swapped", slices.Concat(body, s, r))
	add("r is 0", slices.Concat(body, zero, s))
	add("s is 0", slices.Concat(body, r, zero))
	add("r and s are 0", slices.Concat(body, zero, zero))
	add("r is n", slices.Concat(body, offset(plain.Order(), 0), s))
	add("s is 2^256-1", slices.Concat(body, r, bytes.Repeat([]byte{0xff}, 32)))
}

func roots(k []key) []vectors.Root {
	ttp := k[3]
	key := plain.Mul(scalar("root"), plain.Base())
	var out []vectors.Root
	signRoot := func(label string, r plain.Root) []byte {
		body := r.Encode()
		return plain.Sign(scalar("root"), scalar("root nonce "+label+string(body)), label, body)
	}
	good := plain.Root{
		UC: ttp.uc, Omega: plain.Compress(ttp.public.Omega), Mu: plain.Compress(ttp.public.Mu),
		NotBefore: 1_700_000_000, NotAfter: 1_800_000_000,
	}
	signed := signRoot(labelRoot, good)
	add := func(class, name string, signed []byte) *vectors.Root {
		out = append(out, vectors.Root{
			Name: name, Root: plain.Compress(key), Fingerprint: plain.Fingerprint(key), Signed: signed, Class: class,
		})
		return &out[len(out)-1]
	}
	altered := func(f func(*plain.Root)) []byte {
		r := good
		f(&r)
		return signRoot(labelRoot, r)
	}
	accepted := add("", "of ttp", signed)
	accepted.UC, accepted.Omega, accepted.Mu = good.UC, good.Omega, good.Mu
	accepted.NotBefore, accepted.NotAfter = int64(good.NotBefore), int64(good.NotAfter)
	add("malformed", "no bytes", nil)
	add("malformed", "one byte short", signed[:len(signed)-1])
	add("malformed", "one byte more", append(bytes.Clone(signed), 0))
	add("malformed", "ω is infinity, padded", altered(func(r *plain.Root) { r.Omega = make([]byte, 33) }))
	add("malformed", "μ is no point", altered(func(r *plain.Root) { r.Mu = badPoint() }))
	add("malformed", "ends as it begins", altered(func(r *plain.Root) { r.NotAfter = r.NotBefore }))
	add("malformed", "ends beyond 2^63", altered(func(r *plain.Root) { r.NotAfter = 1 << 63 }))
	add("unsigned", "signed by another key", plain.Sign(scalar("impostor"), scalar("impostor nonce"), labelRoot, good.Encode()))
	add("unsigned", "signed under the label of statements", signRoot(labelStatement, good))
	add("unsigned", "utility altered", slices.Concat([]byte{0, 0, 0, 8}, signed[4:]))
	return out
}
