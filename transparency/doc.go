// Package transparency is the append-only log of a TTP's bills, and what
// others need to hold the TTP to it (spec/bill.md section 9).
//
// An entry is 32 bytes: the hash of a bill and its salt, which tells nothing
// of either. The TTP keeps the log ([Log]) and signs its checkpoints. The
// utility looks on ([Witness]): it cosigns a checkpoint only if the log has
// grown from the last one that it cosigned. A bill then travels with a [Proof]
// that it is in the log under a checkpoint that both have signed, so that
// utility and consumer cannot be shown two logs.
//
// Tree and proofs are those of RFC 6962, checkpoints and cosignatures those of
// C2SP tlog-checkpoint and tlog-cosignature.
package transparency

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/rfc6962"
)

// EntrySize is the length of an entry.
const EntrySize = sha256.Size

// Entry is what the log holds of a bill.
type Entry [EntrySize]byte

// Why a log, checkpoint or proof is not accepted.
var (
	// ErrCheckpoint: not a checkpoint of this log, or not signed by its key.
	ErrCheckpoint = errors.New("checkpoint is not signed by the log")
	// ErrNotCosigned: the utility has not cosigned the checkpoint.
	ErrNotCosigned = errors.New("checkpoint is not cosigned by the utility")
	// ErrNotIncluded: the proof does not lead from the entry to the checkpoint.
	ErrNotIncluded = errors.New("bill is not in the log")
	// ErrInconsistent: the log is not shown to continue the one that was seen
	// before. A wrong proof is enough for that.
	ErrInconsistent = errors.New("log is not shown to continue the one seen before")
	// ErrForked, which is an ErrInconsistent too: two checkpoints of one size
	// have different roots. Both together prove that the log has shown two
	// histories.
	ErrForked = fmt.Errorf("%w: there are two", ErrInconsistent)
	// ErrOvertaken: a proof is from another checkpoint than that seen last.
	ErrOvertaken = errors.New("another checkpoint was cosigned meanwhile")
)

func leafHash(e Entry) []byte { return rfc6962.DefaultHasher.HashLeaf(e[:]) }
