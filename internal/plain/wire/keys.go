// Package wire is a second implementation of spec/protocol.md, as plain as
// possible: it puts each message together byte by byte as the text says, with
// nothing but the primitives of the standard library. It writes the vectors
// that the real package must pass, and opens what the real package seals with
// fresh randomness. It shares no code with the real package, checks little,
// draws no randomness of its own and must never protect anything.
package wire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// The frame types of section 3.
const (
	Data       = 0x01
	M1         = 0x02
	M3         = 0x03
	Request    = 0x04
	M2         = 0x42
	Registered = 0x44
	Refused    = 0x45
	Notice     = 0x46
	Receipt    = 0x47
	Move       = 0x48
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func u8(n byte) []byte    { return []byte{n} }
func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// prefixed is u16(x) of section 1.
func prefixed(x []byte) []byte { return join(u16(uint16(len(x))), x) }

// HMAC is HMAC-SHA-256.
func HMAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(join(parts...))
	return m.Sum(nil)
}

func hash(parts ...[]byte) []byte {
	sum := sha256.Sum256(join(parts...))
	return sum[:]
}

// Extract is HKDF-Extract of RFC 5869; no salt is 32 zero bytes.
func Extract(salt, secret []byte) []byte {
	if len(salt) == 0 {
		salt = make([]byte, 32)
	}
	return HMAC(salt, secret)
}

// Expand is HKDF-Expand of RFC 5869.
func Expand(prk, info []byte, n int) []byte {
	var out, block []byte
	for i := byte(1); len(out) < n; i++ {
		block = HMAC(prk, block, info, u8(i))
		out = append(out, block...)
	}
	return out[:n]
}

// HKDF is both steps of RFC 5869.
func HKDF(secret, salt, info []byte, n int) []byte { return Expand(Extract(salt, secret), info, n) }

// OneTime are the keys of one message with salt R (section 2).
func OneTime(secret, r []byte, kind byte, id uint64) (aesKey, nonce, macKey []byte) {
	direction := byte(0)
	if kind >= 0x40 {
		direction = 1
	}
	keys := HKDF(secret, r, join([]byte("wattveil1 uc message"), u8(kind), u8(direction), u64(id)), 60)
	return keys[0:16], keys[16:28], keys[28:60]
}

// DataTagKey is K_mac.
func DataTagKey(secret []byte) []byte {
	return HKDF(secret, nil, []byte("wattveil1 data tag"), 32)
}

// LinkPassword is the password at the collectors of a domain, and what a
// collector keeps of it.
func LinkPassword(secret []byte, id uint64, domain string) (password string, kept []byte) {
	key := HKDF(secret, nil, join([]byte("wattveil1 link"), u64(id), []byte(domain)), 16)
	password = hex.EncodeToString(key)
	return password, hash([]byte(password))
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
