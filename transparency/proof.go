package transparency

import (
	"fmt"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// Proof shows that an entry is in the log. It has the fields of bill.Proof,
// which has its written form.
type Proof struct {
	Index      uint64
	Hashes     [][]byte // RFC 6962 audit path
	Checkpoint string   // signed by the log, cosigned by the utility
}

// maxHashes is more than a tree of 2^64 entries needs.
const maxHashes = 64

// Verify checks a proof for an entry: the checkpoint is signed by the log and
// cosigned by the utility, and the path leads from the entry to its root. It
// fails with [ErrCheckpoint], [ErrNotCosigned] or [ErrNotIncluded].
func (p Proof) Verify(e Entry, keys Keys) error {
	logKey, err := newVerifier(keys.Log)
	if err != nil {
		return fmt.Errorf("log key: %w", err)
	}
	witness, err := f_note.NewVerifierForCosignatureV1(keys.Witness)
	if err != nil {
		return fmt.Errorf("witness key: %w", err)
	}
	cp, _, parsed, err := log.ParseCheckpoint([]byte(p.Checkpoint), keys.Origin, logKey, witness)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if !signedBy(parsed, witness) {
		return ErrNotCosigned
	}
	if len(p.Hashes) > maxHashes || p.Index >= cp.Size {
		return fmt.Errorf("%w: entry %d of %d", ErrNotIncluded, p.Index, cp.Size)
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, cp.Size, leafHash(e), p.Hashes, cp.Hash)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	return nil
}

func signedBy(n *note.Note, v note.Verifier) bool {
	for _, s := range n.Sigs {
		if s.Name == v.Name() && s.Hash == v.KeyHash() {
			return true
		}
	}
	return false
}
