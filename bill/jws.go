package bill

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxSize bounds a bill in compact form.
const maxSize = 128 << 10

// Verified is a bill that [Verify] accepted, and the id of the key that signed
// it.
type Verified struct {
	Bill
	KeyID string
}

// Sign checks the bill and signs it. The same key and bill always give the
// same text. A bill that [Check] refuses is not signed.
func (k *SigningKey) Sign(b Bill) (string, error) {
	if err := Check(b); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	payload, err := b.canonical()
	if err != nil {
		return "", fmt.Errorf("bill: sign: %w", err)
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("bill: sign: %w", err)
	}
	return signed.CompactSerialize()
}

// Verify checks a bill in compact form: the signature, the canonical form of
// the payload, and all that [Check] recomputes. It does not check whose bill
// it is, see [Bill.IsOf], and that the energy is what the meter measured, which
// takes the readings. A refusal is an [*Error]; its class says at which step
// (spec/bill.md section 6).
func Verify(jws string, keys KeySet) (Verified, error) {
	header, payload, err := split(jws)
	if err != nil {
		return Verified{}, err
	}
	id, err := keyID(header)
	if err != nil {
		return Verified{}, err
	}
	public, ok := keys.find(id)
	if !ok {
		return Verified{}, refuse(ErrUnknownKey, "it is signed with key %s, which is not in the key set", id)
	}
	signed, err := jose.ParseSignedCompact(jws, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Verified{}, refuse(ErrJWS, "it is not a compact JWS: %v", err)
	}
	if _, err := signed.Verify(public); err != nil {
		return Verified{}, refuse(ErrSignature, "the signature does not fit key %s: the bill was changed, or is another's", id)
	}
	b, err := parsePayload(payload)
	if err != nil {
		return Verified{}, err
	}
	if err := Check(b); err != nil {
		return Verified{}, err
	}
	return Verified{Bill: b, KeyID: id}, nil
}

// split decodes header and payload of a compact JWS. There is one text for
// each content: padding, line breaks and stray low bits are refused.
func split(jws string) (header, payload []byte, err error) {
	if len(jws) > maxSize {
		return nil, nil, refuse(ErrJWS, "it has %d bytes, at most %d are allowed", len(jws), maxSize)
	}
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, nil, refuse(ErrJWS, "it is not a compact JWS: want three parts between two dots, have %d", len(parts))
	}
	var decoded [3][]byte
	for i, name := range [...]string{"header", "payload", "signature"} {
		if strings.ContainsAny(parts[i], "\r\n") {
			return nil, nil, refuse(ErrJWS, "it is not a compact JWS: the %s has a line break", name)
		}
		decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil || len(decoded[i]) == 0 {
			return nil, nil, refuse(ErrJWS, "it is not a compact JWS: the %s is not base64url", name)
		}
	}
	return decoded[0], decoded[1], nil
}

// keyID checks the protected header and returns the key's id.
func keyID(header []byte) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(header, &members); err != nil {
		return "", refuse(ErrHeader, "the header is not a JSON object")
	}
	text := func(name string) string {
		var s string
		if json.Unmarshal(members[name], &s) != nil {
			return ""
		}
		return s
	}
	alg, kid, typ := text("alg"), text("kid"), text("typ")
	switch {
	case alg != string(jose.EdDSA):
		return "", refuse(ErrAlgorithm, "it is signed with algorithm %.20q, want EdDSA", alg)
	case kid == "":
		return "", refuse(ErrNoKeyID, "the header does not name a key")
	case typ != mediaType:
		return "", refuse(ErrHeader, "the header's typ is %.40q, want %q", typ, mediaType)
	}
	canonical, err := json.Marshal(map[string]string{"alg": alg, "kid": kid, "typ": typ})
	if err != nil || string(canonical) != string(header) {
		return "", refuse(ErrHeader, "the header is not canonical: want alg, kid and typ, in this order, and nothing else")
	}
	return kid, nil
}
