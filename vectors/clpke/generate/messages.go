package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	plain "github.com/wattveil/wattveil/internal/plain/clpke"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

const label = "wattveil1 M1"

// text is n bytes that depend on the name alone.
func text(name string, n int) []byte {
	return plain.Expand([]byte(name), []byte("wattveil1 vectors clpke text"), n)
}

func messages(k []key) []vectors.Message {
	var out []vectors.Message
	add := func(name string, k key, label string, msg, sigma []byte) {
		r, ciphertext := k.public.Encrypt(label, msg, sigma)
		if got, err := k.public.Decrypt(k.z, k.d, label, ciphertext); err != nil || !bytes.Equal(got, msg) {
			panic("message " + name + " does not open")
		}
		out = append(out, vectors.Message{
			Name: name, Key: k.name, Label: label, Message: msg, Sigma: sigma,
			R: plain.Scalar32(r), Ciphertext: ciphertext,
		})
	}
	for _, one := range k {
		add("to "+one.name, one, label, text(one.name, 64), seeded("sigma "+one.name))
	}
	meter := k[0]
	add("empty", meter, label, nil, seeded("sigma empty"))
	add("one byte", meter, label, []byte{0}, seeded("sigma one"))
	add("keystream ends with a block", meter, label, text("block", 32), seeded("sigma block"))
	add("keystream ends after a block", meter, label, text("block", 33), seeded("sigma block"))
	add("longest", meter, label, text("longest", 4096), seeded("sigma longest"))
	add("shortest label", meter, "wattveil1 x", text("label", 16), seeded("sigma label"))
	add("longest label", meter, "wattveil1 "+strings.Repeat("~ ", 27), text("label", 16), seeded("sigma label"))
	add("σ of zeros", meter, label, make([]byte, 32), make([]byte, 32))
	add("σ of ones", meter, label, bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 32))
	return out
}

// refusals are all made from one good ciphertext to the meter.
func refusals(k []key) []vectors.Refusal {
	meter, neighbour, sameZ := k[0], k[1], k[2]
	msg, sigma := text("refusal", 40), seeded("sigma refusal")
	r, good := meter.public.Encrypt(label, msg, sigma)
	c1, c2 := good[:33], good[33:]

	var out []vectors.Refusal
	add := func(class, name string, k key, label string, ciphertext []byte) {
		_, err := k.public.Decrypt(k.z, k.d, label, ciphertext)
		if !errors.Is(err, map[string]error{vectors.Malformed: plain.ErrMalformed, vectors.Open: plain.ErrOpen}[class]) {
			panic("refusal " + name + " has another class")
		}
		out = append(out, vectors.Refusal{Name: name, Key: k.name, Label: label, Ciphertext: ciphertext, Class: class})
	}
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }

	add(vectors.Malformed, "no bytes", meter, label, nil)
	add(vectors.Malformed, "C1 alone", meter, label, c1)
	add(vectors.Malformed, "one byte under the shortest", meter, label, good[:64])
	add(vectors.Malformed, "one byte over the longest", meter, label, join(c1, make([]byte, 4096+32+1)))
	add(vectors.Malformed, "C1 is infinity, padded", meter, label, join(make([]byte, 33), c2))
	add(vectors.Malformed, "C1 is no point", meter, label, join(badPoint(), c2))
	add(vectors.Malformed, "C1 has the prefix of the uncompressed form", meter, label, join([]byte{4}, c1[1:], c2))
	add(vectors.Malformed, "C1 has an x from the prime up", meter, label, join([]byte{2}, bytes.Repeat([]byte{0xff}, 32), c2))

	add(vectors.Open, "C1 negated", meter, label, flip(0))
	add(vectors.Open, "first byte of M altered", meter, label, flip(33))
	add(vectors.Open, "last byte of M altered", meter, label, flip(33+len(msg)-1))
	add(vectors.Open, "first byte of σ altered", meter, label, flip(33+len(msg)))
	add(vectors.Open, "last byte of σ altered", meter, label, flip(len(good)-1))
	add(vectors.Open, "one byte short", meter, label, good[:len(good)-1])
	add(vectors.Open, "one byte more", meter, label, append(bytes.Clone(good), 0))
	add(vectors.Open, "shortest, of zeros", meter, label, join(c1, make([]byte, 32)))
	add(vectors.Open, "another label", meter, "wattveil1 M2", good)
	add(vectors.Open, "another owner's key", neighbour, label, good)
	add(vectors.Open, "the same user key under another utility", sameZ, label, good)
	add(vectors.Open, "C1 of another message", meter, label, join(plain.Compress(plain.Mul(scalar("other r"), plain.Base())), c2))
	add(vectors.Open, "r is not H2", meter, label, meter.public.EncryptWith(scalar("chosen r"), label, msg, sigma))
	add(vectors.Open, "r is H2 of another label", meter, label, meter.public.EncryptWith(meter.public.H2("wattveil1 M2", msg, sigma), label, msg, sigma))
	add(vectors.Open, "r negated", meter, label, meter.public.EncryptWith(r.Sub(plain.Order(), r), label, msg, sigma))
	return out
}
