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

// Fork is two checkpoints that a TTP has signed and of which neither continues
// the other. Whoever has the key of its log sees that it has shown two.
type Fork struct {
	TTP     string
	Kept    string // cosigned by this utility
	Offered string
	Seen    time.Time
}

// maxForks is how many are kept of a TTP: the first prove as much as any.
const maxForks = 64

// keepFork keeps two checkpoints, if the error that they brought says that they
// are of two logs, and returns that error.
func (u *Utility) keepFork(ctx context.Context, ttp, kept, offered string, err error) error {
	if !errors.Is(err, transparency.ErrInconsistent) {
		return err
	}
	u.cfg.Log.Error("TTP shows two logs", "ttp", ttp, "error", err)
	_, keepErr := u.db.ExecContext(ctx, `
		INSERT OR IGNORE INTO log_evidence (ttp, kept, offered, seen)
		SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM log_evidence WHERE ttp = ?1) < ?5`,
		ttp, kept, offered, u.cfg.Now().Unix(), maxForks)
	if keepErr != nil {
		keepErr = fmt.Errorf("keep two checkpoints of TTP %s: %w", ttp, keepErr)
	}
	return errors.Join(err, keepErr)
}

// Forks are the pairs of checkpoints that are kept, in the order in which they
// were seen.
func (u *Utility) Forks(ctx context.Context) (list []Fork, err error) {
	rows, err := u.db.QueryContext(ctx, `SELECT ttp, kept, offered, seen FROM log_evidence ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("list forks of bill logs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f Fork
		var seen int64
		if err := rows.Scan(&f.TTP, &f.Kept, &f.Offered, &seen); err != nil {
			return nil, fmt.Errorf("list forks of bill logs: %w", err)
		}
		f.Seen = time.Unix(seen, 0).UTC()
		list = append(list, f)
	}
	return list, rows.Err()
}

// CountForks is how many are kept.
func (u *Utility) CountForks(ctx context.Context) (n int, err error) {
	if err := u.db.QueryRowContext(ctx, `SELECT count(*) FROM log_evidence`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count forks of bill logs: %w", err)
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
