package transparency

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrUnproven: two checkpoints are of different size, and there is no proof
// that the larger log continues the smaller one.
var ErrUnproven = errors.New("no proof leads from one checkpoint to the other")

// OneLog checks that two checkpoints are of one log: all entries of the smaller
// come first in the larger, in their order. Of two of one size it takes no
// proof. It fails with [ErrForked], with [ErrInconsistent] if the proof does not
// lead from one to the other, or with [ErrUnproven].
func OneLog(a, b Checkpoint, consistency [][]byte) error {
	if a.Size > b.Size {
		a, b = b, a
	}
	switch {
	case a.Size == b.Size && !bytes.Equal(a.root, b.root):
		return fmt.Errorf("%w: checkpoints of %d entries have different roots", ErrForked, a.Size)
	case a.Size == b.Size, a.Size == 0:
		return nil
	case len(consistency) == 0:
		return fmt.Errorf("%w: they have %d and %d entries", ErrUnproven, a.Size, b.Size)
	case len(consistency) > 2*maxHashes:
		return fmt.Errorf("%w: the proof has %d hashes", ErrInconsistent, len(consistency))
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, a.Size, b.Size, consistency, a.root, b.root)
	if err != nil {
		return fmt.Errorf("%w: from %d to %d entries: %w", ErrInconsistent, a.Size, b.Size, err)
	}
	return nil
}
