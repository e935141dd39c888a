package utility

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// BillLog is how far this utility has seen a TTP's bill log.
type BillLog struct {
	TTP, Origin string
	Entries     uint64 // in the checkpoint that was cosigned last
	Checkpoint  string // that one; empty before the first bill
}

// CheckpointPair is two checkpoints that a TTP has signed and not shown to be of
// one log (spec/protocol.md section 7.5).
type CheckpointPair struct {
	TTP     string
	Kept    string // cosigned by this utility
	Offered string
	Seen    time.Time
	// Fork: they are of one size and have different roots. Whoever has the key
	// of the log sees that the TTP has shown two. Else a proof was missing or
	// wrong, which tells others nothing.
	Fork bool
}

// maxPairs is how many are kept of a TTP and kind: the first tell as much as any.
const maxPairs = 64

// keepPair keeps two checkpoints, if the error that they brought says that they
// are not shown to be of one log, and returns that error.
func (u *Utility) keepPair(ctx context.Context, ttp, kept, offered string, err error) error {
	fork := errors.Is(err, transparency.ErrForked)
	switch {
	case fork:
		u.cfg.Log.Error("TTP has shown two logs", "ttp", ttp, "error", err)
	case errors.Is(err, transparency.ErrInconsistent):
		u.cfg.Log.Error("TTP has not proven that its log continues", "ttp", ttp, "error", err)
	default:
		return err
	}
	_, keepErr := u.db.ExecContext(ctx, `
		INSERT OR IGNORE INTO log_evidence (ttp, kept, offered, seen, fork)
		SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM log_evidence WHERE ttp = ?1 AND fork = ?5) < ?6`,
		ttp, kept, offered, u.cfg.Now().Unix(), fork, maxPairs)
	if keepErr != nil {
		keepErr = fmt.Errorf("keep two checkpoints of TTP %s: %w", ttp, keepErr)
	}
	return errors.Join(err, keepErr)
}

// CheckpointPairs are those that are kept, in the order in which they were seen.
func (u *Utility) CheckpointPairs(ctx context.Context) (list []CheckpointPair, err error) {
	rows, err := u.db.QueryContext(ctx, `SELECT ttp, kept, offered, seen, fork FROM log_evidence ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("list pairs of checkpoints: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p CheckpointPair
		var seen int64
		if err := rows.Scan(&p.TTP, &p.Kept, &p.Offered, &seen, &p.Fork); err != nil {
			return nil, fmt.Errorf("list pairs of checkpoints: %w", err)
		}
		p.Seen = time.Unix(seen, 0).UTC()
		list = append(list, p)
	}
	return list, rows.Err()
}

// PairCounts are how many pairs of checkpoints are kept.
type PairCounts struct{ Forks, Unproven int }

// CountPairs counts them.
func (u *Utility) CountPairs(ctx context.Context) (n PairCounts, err error) {
	err = u.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE fork = 1), count(*) FILTER (WHERE fork = 0) FROM log_evidence`).
		Scan(&n.Forks, &n.Unproven)
	if err != nil {
		return PairCounts{}, fmt.Errorf("count pairs of checkpoints: %w", err)
	}
	return n, nil
}

// BillLogs are the logs of the TTPs in use that have told theirs.
func (u *Utility) BillLogs(ctx context.Context) (list []BillLog, err error) {
	for _, name := range u.TTPs() {
		witness, keys, err := u.witnessOf(ctx, name)
		if errors.Is(err, wire.Unavailable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		l := BillLog{TTP: name, Origin: keys.Origin, Checkpoint: witness.Last()}
		if l.Checkpoint != "" {
			cosigned, err := keys.Open(l.Checkpoint)
			if err != nil {
				return nil, fmt.Errorf("bill log of TTP %s: %w", name, err)
			}
			l.Entries = cosigned.Size
		}
		list = append(list, l)
	}
	return list, nil
}
