package bill

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wattveil/wattveil"
)

// Document is a bill with what travels beside it: the salt of its subject, and
// the proof that the TTP's log has it (spec/bill.md section 9). It holds no
// keys: who checks a bill has those from elsewhere. Fields stand in the order of
// their JSON names, as in [Bill].
type Document struct {
	JWS   string `json:"jws"`
	Meter string `json:"meter,omitempty"` // of wattveil.Meter; only where the holder may know it
	Proof *Proof `json:"proof,omitempty"` // none before the bill is in the log
	Salt  string `json:"salt"`            // of Salt
}

// Proof shows that a bill is in the log. It has the fields of
// transparency.Proof, so that the one converts to the other.
type Proof struct {
	Index      uint64
	Hashes     [][]byte // RFC 6962 audit path
	Checkpoint string   // signed by the log, cosigned by the utility
}

// proofJSON is how a proof is written.
type proofJSON struct {
	Checkpoint string `json:"checkpoint"`
	Hashes     []Hash `json:"hashes"`
	Index      uint64 `json:"index"`
}

// Limits on a document.
const (
	maxDocument   = 192 << 10
	maxCheckpoint = 8 << 10
	maxHashes     = 64 // more than a tree of 2^63 entries needs
	maxIndex      = 1<<53 - 1
)

// EntryOf is what the log holds of a bill: SHA-256(salt ‖ JWS), which tells
// nothing of either.
func EntryOf(jws string, salt Salt) Hash {
	h := sha256.New()
	h.Write(salt[:])
	h.Write([]byte(jws))
	return Hash(h.Sum(nil))
}

// IsDocument tells whether data is meant to be a document, and not a bare bill.
func IsDocument(data []byte) bool { return bytes.HasPrefix(data, []byte("{")) }

// ParseDocument reads a document, which may end in a line break. It checks the
// form alone, nothing of the bill in it. A refusal is of class [ErrDocument].
func ParseDocument(data []byte) (Document, error) {
	if len(data) > maxDocument {
		return Document{}, refuse(ErrDocument, "it has %d bytes, at most %d are allowed", len(data), maxDocument)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if !json.Valid(data) {
		return Document{}, refuse(ErrDocument, "it is not one JSON object")
	}
	if name, ok := duplicate(data); ok {
		return Document{}, refuse(ErrDocument, "it gives %.40q twice", name)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d Document
	if err := dec.Decode(&d); err != nil {
		return Document{}, refuse(ErrDocument, "%s", strings.ReplaceAll(err.Error(), "json: ", ""))
	}
	if err := d.check(); err != nil {
		return Document{}, err
	}
	if again, err := d.Text(); err != nil || !bytes.Equal(again, data) {
		return Document{}, refuse(ErrDocument, "it is not canonical JSON: members sorted by name, no white space, nothing else")
	}
	return d, nil
}

// check checks the members.
func (d Document) check() error {
	if d.JWS == "" || len(d.JWS) > maxSize {
		return refuse(ErrDocument, "jws has %d bytes, want 1 to %d", len(d.JWS), maxSize)
	}
	if _, err := ParseSalt(d.Salt); err != nil {
		return refuse(ErrDocument, "salt is not %d bytes in base64url", len(Salt{}))
	}
	if d.Meter != "" {
		if _, err := wattveil.ParseMeter(d.Meter); err != nil {
			return refuse(ErrDocument, "meter: %v", err)
		}
	}
	if p := d.Proof; p != nil {
		switch {
		case p.Index > maxIndex:
			return refuse(ErrDocument, "proof: index %d is beyond any log", p.Index)
		case len(p.Hashes) > maxHashes:
			return refuse(ErrDocument, "proof: it has %d hashes, at most %d are allowed", len(p.Hashes), maxHashes)
		case p.Checkpoint == "" || len(p.Checkpoint) > maxCheckpoint:
			return refuse(ErrDocument, "proof: checkpoint has %d bytes, want 1 to %d", len(p.Checkpoint), maxCheckpoint)
		}
	}
	return nil
}

// Text is the document in its canonical form.
func (d Document) Text() ([]byte, error) {
	text, err := marshal(d)
	if err != nil {
		return nil, fmt.Errorf("bill: write document: %w", err)
	}
	return text, nil
}

// Entry is what the log holds of the document's bill.
func (d Document) Entry() (Hash, error) {
	salt, err := ParseSalt(d.Salt)
	return EntryOf(d.JWS, salt), err
}

// MarshalJSON writes the proof, its hashes in base64url.
func (p Proof) MarshalJSON() ([]byte, error) {
	out := proofJSON{Index: p.Index, Hashes: make([]Hash, len(p.Hashes)), Checkpoint: p.Checkpoint}
	for i, h := range p.Hashes {
		if len(h) != len(Hash{}) {
			return nil, fmt.Errorf("bill: write proof: a hash has %d bytes, want %d", len(h), len(Hash{}))
		}
		out.Hashes[i] = Hash(h)
	}
	return marshal(out)
}

// UnmarshalJSON reads the proof.
func (p *Proof) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var in proofJSON
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*p = Proof{Index: in.Index, Checkpoint: in.Checkpoint}
	for _, h := range in.Hashes {
		p.Hashes = append(p.Hashes, h[:])
	}
	return nil
}
