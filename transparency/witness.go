package transparency

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/wattveil/wattveil/internal/folder"
)

// Witness is a utility's eye on its TTP's log: it remembers the last
// checkpoint that it cosigned, durably, and cosigns only what continues it. It
// is safe for concurrent use.
type Witness struct {
	origin string
	log    note.Verifier
	signer note.Signer
	public string
	path   string

	mu   sync.Mutex
	last []byte // signed and cosigned
}

const (
	witnessKey  = "witness.key"
	witnessLast = "witness.checkpoint"
)

// OpenWitness opens the witness in a folder, and makes its key if it is
// missing. name is the utility's, logKey the verifier key of the TTP's log.
func OpenWitness(dir, name, origin, logKey string) (*Witness, error) {
	w := &Witness{origin: origin, path: filepath.Join(dir, witnessLast)}
	var err error
	if w.log, err = newVerifier(logKey); err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if w.signer, w.public, err = loadCosigner(filepath.Join(dir, witnessKey), name); err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if w.last, err = os.ReadFile(w.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	return w, nil
}

func loadCosigner(path, name string) (note.Signer, string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		private, _, genErr := note.GenerateKey(rand.Reader, name)
		if genErr != nil {
			return nil, "", fmt.Errorf("witness key: %w", genErr)
		}
		raw, err = []byte(private), folder.WriteFile(path, []byte(private), 0o600)
	}
	if err != nil {
		return nil, "", fmt.Errorf("witness key: %w", err)
	}
	signer, err := f_note.NewSignerForCosignatureV1(string(raw))
	if err != nil {
		return nil, "", fmt.Errorf("witness key: %w", err)
	}
	seed, name, err := seedOf(string(raw))
	if err != nil {
		return nil, "", err
	}
	public, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	return signer, public, err
}

// PublicKey is the witness's verifier key.
func (w *Witness) PublicKey() string { return w.public }

// Size is the size of the log that the witness last cosigned.
func (w *Witness) Size() (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cp, err := w.seen()
	return cp.Size, err
}

// Last is the checkpoint that the witness last cosigned; empty before the
// first.
func (w *Witness) Last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.last)
}

// seen is the last checkpoint, or that of the empty log.
func (w *Witness) seen() (log.Checkpoint, error) {
	if w.last == nil {
		return log.Checkpoint{Origin: w.origin, Hash: rfc6962.DefaultHasher.EmptyRoot()}, nil
	}
	cp, _, _, err := log.ParseCheckpoint(w.last, w.origin, w.log)
	if err != nil {
		return log.Checkpoint{}, fmt.Errorf("checkpoint seen last: %w", err)
	}
	return *cp, nil
}

// Cosign checks that a signed checkpoint continues the last one and returns it
// with the cosignature added. consistency proves that it continues the log of
// size since. If the last one is of another size by now, and of another than
// the signed one, nothing is proven either way: [ErrOvertaken]. Else it fails
// with [ErrCheckpoint] or [ErrInconsistent], which with two of one size is
// [ErrForked]: both together are proof against the log.
func (w *Witness) Cosign(signed []byte, since uint64, consistency [][]byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, parsed, err := w.open(signed)
	if err != nil {
		return nil, err
	}
	last, err := w.seen()
	if err != nil {
		return nil, err
	}
	switch {
	case next.Size == last.Size:
		consistency = nil // the roots are compared
	case since != last.Size:
		return nil, fmt.Errorf("%w: it is proven to continue %d entries, and %d are cosigned", ErrOvertaken, since, last.Size)
	}
	if err := continues(last, next, consistency); err != nil {
		return nil, err
	}
	parsed.UnverifiedSigs = nil // what others added is theirs to add again
	cosigned, err := note.Sign(parsed, w.signer)
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	if err := folder.WriteFile(w.path, cosigned, 0o600); err != nil {
		return nil, fmt.Errorf("keep checkpoint: %w", err)
	}
	w.last = cosigned
	return cosigned, nil
}

// SizeOf is the size of the log in a checkpoint that the log has signed.
func (w *Witness) SizeOf(signed []byte) (uint64, error) {
	cp, _, err := w.open(signed)
	return cp.Size, err
}

// Follows checks that the checkpoint that was cosigned last continues one that
// was not, because it was overtaken. It fails with [ErrInconsistent], as
// [Witness.Cosign] does.
func (w *Witness) Follows(overtaken []byte, consistency [][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, _, err := w.open(overtaken)
	if err != nil {
		return err
	}
	last, err := w.seen()
	if err != nil {
		return err
	}
	return continues(before, last, consistency)
}

// open reads a checkpoint that the log has signed.
func (w *Witness) open(signed []byte) (log.Checkpoint, *note.Note, error) {
	return parseCheckpoint(signed, w.origin, w.log)
}

func continues(last, next log.Checkpoint, consistency [][]byte) error {
	if next.Size < last.Size {
		return fmt.Errorf("%w: it shrank from %d to %d entries", ErrInconsistent, last.Size, next.Size)
	}
	if last.Size == 0 {
		return nil
	}
	err := OneLog(Checkpoint{last.Size, last.Hash}, Checkpoint{next.Size, next.Hash}, consistency)
	if errors.Is(err, ErrUnproven) {
		return fmt.Errorf("%w: %w", ErrInconsistent, err) // who signs a checkpoint has to prove it
	}
	return err
}
