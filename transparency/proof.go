package transparency

import (
	"encoding/base64"
	"fmt"
	"slices"

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
	cp, err := keys.Open(p.Checkpoint)
	if err != nil {
		return err
	}
	return cp.Includes(e, p.Index, p.Hashes)
}

// Checkpoint is a checkpoint whose signatures were checked, for those who have
// many entries to look for in it.
type Checkpoint struct {
	Size uint64 // entries of the log
	root []byte
}

// Open checks that a checkpoint is signed by the log and cosigned by the
// utility. It fails with [ErrCheckpoint] or [ErrNotCosigned].
func (k Keys) Open(checkpoint string) (Checkpoint, error) {
	logKey, err := newVerifier(k.Log)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log key: %w", err)
	}
	witness, err := f_note.NewVerifierForCosignatureV1(k.Witness)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("witness key: %w", err)
	}
	cp, parsed, err := parseCheckpoint([]byte(checkpoint), k.Origin, logKey, witness)
	if err != nil {
		return Checkpoint{}, err
	}
	if !signedBy(parsed, witness) {
		return Checkpoint{}, ErrNotCosigned
	}
	return Checkpoint{Size: cp.Size, root: cp.Hash}, nil
}

// parseCheckpoint reads a checkpoint that a log has signed, and tells which of
// others have signed it. Package note takes base64 with stray bits or line ends
// in it; here there is one text for a signature. It fails with [ErrCheckpoint].
func parseCheckpoint(signed []byte, origin string, by note.Verifier, others ...note.Verifier) (log.Checkpoint, *note.Note, error) {
	cp, _, parsed, err := log.ParseCheckpoint(signed, origin, by, others...)
	if err != nil {
		return log.Checkpoint{}, nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	for _, s := range slices.Concat(parsed.Sigs, parsed.UnverifiedSigs) {
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != s.Base64 {
			return log.Checkpoint{}, nil, fmt.Errorf("%w: the signature by %.80q is not in canonical base64", ErrCheckpoint, s.Name)
		}
	}
	return *cp, parsed, nil
}

// Includes checks that an audit path leads from an entry to the checkpoint. It
// fails with [ErrNotIncluded].
func (c Checkpoint) Includes(e Entry, index uint64, hashes [][]byte) error {
	if len(hashes) > maxHashes || index >= c.Size {
		return fmt.Errorf("%w: entry %d of %d", ErrNotIncluded, index, c.Size)
	}
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, c.Size, leafHash(e), hashes, c.root)
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
