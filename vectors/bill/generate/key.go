package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
)

// mediaType is the typ of a bill.
const mediaType = "wattveil-bill+jwt"

// key signs bills.
type key struct {
	private ed25519.PrivateKey
	x, id   string
}

// testKey is the published key: the seed is the bytes from 0 to 31.
func testKey() key { return keyFrom(0) }

// keyFrom is the key whose seed is 32 bytes that count up from first.
func keyFrom(first byte) key {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	k := key{private: ed25519.NewKeyFromSeed(seed)}
	k.x = b64(k.private.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + k.x + `"}`))
	k.id = b64(sum[:])
	return k
}

func (k key) jwk() string {
	return `{"use":"sig","kty":"OKP","kid":"` + k.id + `","crv":"Ed25519","alg":"EdDSA","x":"` + k.x + `"}`
}

func (k key) jwks() string { return `{"keys":[` + k.jwk() + `]}` }

// header is the protected header of a bill.
func (k key) header() string {
	return `{"alg":"EdDSA","kid":"` + k.id + `","typ":"` + mediaType + `"}`
}

// sign makes a compact JWS.
func (k key) sign(payload string) string { return k.signUnder(k.header(), payload) }

// signUnder makes a compact JWS with a header of one's own.
func (k key) signUnder(header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(ed25519.Sign(k.private, []byte(input)))
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// hashOf is what a bill names another one by.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return b64(sum[:])
}
