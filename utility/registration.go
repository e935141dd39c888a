package utility

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/wire"
)

const (
	maxBehind         = 24 * time.Hour  // of a meter's clock
	maxAhead          = 5 * time.Minute // of a meter's clock
	statementLifetime = 20 * 365 * 24 * time.Hour
	statementBackdate = 24 * time.Hour
	firstSerial       = 1
)

func (u *Utility) makeMaster(path, context string) (err error) {
	if u.master, err = kgc.NewMasterKey(); err != nil {
		return err
	}
	return folder.WriteFile(path, u.seal.Seal(context, u.master.Bytes()), 0o600)
}

// registration is a registration request on its way through the utility
// (spec/protocol.md section 4.4).
type registration struct {
	id      wattveil.MeterID
	frame   []byte
	secret  wire.Secret
	request wire.RegisterRequest
	ttp     *trusteeKeys
	as      admission
	answer  wire.Registered
	err     error // why it is not accepted, if it is not
}

// registeredAtOnce is how many requests share one commit.
const registeredAtOnce = 256

// registerAll answers a post's registration requests. What is accepted is
// durable before anything goes down.
func (u *Utility) registerAll(ctx context.Context, p *post) {
	for chunk := range slices.Chunk(p.requests, registeredAtOnce) {
		batch := make([]registration, len(chunk))
		for k, i := range chunk {
			batch[k] = u.openRegistration(ctx, p.meters[i], p.frames[i])
		}
		now := u.cfg.Now()
		u.admitAll(ctx, batch, now)
		for k, i := range chunk {
			p.verdicts[i] = u.verdict(u.answerRegistration(p, &batch[k], now))
		}
	}
}

// openRegistration opens a request and finds what an answer needs.
func (u *Utility) openRegistration(ctx context.Context, id wattveil.MeterID, frame []byte) registration {
	r := registration{id: id, frame: frame}
	if r.secret, r.err = u.secret(ctx, id); r.err != nil {
		return r
	}
	if r.request, r.err = r.secret.OpenRegister(id, frame); r.err != nil {
		return r
	}
	var t *trustee
	if t, r.err = u.trusteeOf(ctx, id); r.err != nil {
		return r
	}
	r.ttp, r.err = u.keysOf(ctx, t)
	return r
}

// admitAll accepts the requests that may be, with one commit. One that fails
// leaves nothing behind and does not keep the others.
func (u *Utility) admitAll(ctx context.Context, batch []registration, now time.Time) {
	err := registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		for i := range batch {
			r := &batch[i]
			if r.err != nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, `SAVEPOINT request`); err != nil {
				return err
			}
			if r.as, r.err = u.admitRequest(ctx, tx, r.id, r.request, now); r.err == nil {
				r.answer, r.err = u.issue(ctx, tx, r, now)
			}
			if r.err != nil {
				if _, err := tx.ExecContext(ctx, `ROLLBACK TO request`); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, `RELEASE request`); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range batch {
		if r := &batch[i]; err != nil && r.err == nil {
			r.err = fmt.Errorf("register meter %v: %w", r.id, err)
		}
	}
}

// answerRegistration puts the answer, or the refusal that tells the time, among
// the post's downlinks.
func (u *Utility) answerRegistration(p *post, r *registration, now time.Time) (wire.Verdict, error) {
	var down []byte
	switch {
	case r.err == nil:
		u.succeeded(r)
		a := r.answer
		a.Time, a.RootKey, a.TTPStatement, a.SignedTTPRoot = now.Unix(), r.ttp.rootKey, r.ttp.statement, r.ttp.rootStatement
		down = r.secret.Registered(r.id, r.frame, a)
	case errors.Is(r.err, wire.Stale):
		u.counts.Add(wire.Stale)
		down = r.secret.RefuseRegister(r.id, r.frame, wire.RegisterRefusal{Nonce: r.request.Nonce, Time: now.Unix()})
	default:
		return wire.Later, r.err
	}
	p.heard = append(p.heard, r.id)
	p.downlinks = append(p.downlinks, wire.Downlink{ID: r.id, Frame: down})
	return wire.Durable, nil // answered, if with a refusal
}

// admission is how a request is accepted.
type admission struct {
	standing
	change change
}

// change is what a request that is accepted makes of a meter.
type change int

const (
	noChange    change = iota // the same content again
	isNew                     // the first request
	isMoved                   // another pseudonym
	isRekeyed                 // another key of the same pseudonym
	isSuccessor               // the pseudonym of the device before
)

// admitRequest checks the request's time and user value, and notes them.
func (u *Utility) admitRequest(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, r wire.RegisterRequest, now time.Time) (admission, error) {
	s, err := u.standing(ctx, tx, id)
	if err != nil {
		return admission{}, err
	}
	a := admission{standing: s}
	switch at := time.Unix(r.Time, 0); {
	case s.drained.Valid:
		return a, fmt.Errorf("%w: registration of meter %v", wire.Retired, id)
	case s.lastTime != 0 && r.Time <= s.lastTime:
		return a, fmt.Errorf("%w: registration of meter %v", wire.Replayed, id)
	case at.Before(now.Add(-maxBehind)) || at.After(now.Add(maxAhead)):
		return a, fmt.Errorf("%w: clock of meter %v", wire.Stale, id)
	case s.mu == nil && s.predecessor.Valid:
		a.change = isSuccessor
	case s.mu == nil:
		a.change = isNew
	case string(s.mu) == string(r.Mu[:]):
		a.change = noChange
	case s.moveDue(now):
		a.change = isMoved
	case s.rekey:
		a.change = isRekeyed
	default:
		return a, fmt.Errorf("%w: meter %v", wire.Rebound, id)
	}
	if _, err := clpke.ParsePoint(r.Mu[:]); err != nil {
		return a, fmt.Errorf("%w: user value of meter %v", wire.Malformed, id)
	}
	_, err = tx.ExecContext(ctx, `UPDATE meters SET last_time = ?, mu = ? WHERE id_sm = ?`, r.Time, r.Mu[:], int64(id))
	return a, err
}

// moveDue tells whether it is time for a meter's move, by a meter's clock too
// that is as far ahead as one may be.
func (s *standing) moveDue(now time.Time) bool {
	return s.moveAt.Valid && now.Add(maxAhead).Unix() >= s.moveAt.Int64
}

// issue is the meter's pseudonym and key: those it has, or new ones.
func (u *Utility) issue(ctx context.Context, tx *sql.Tx, r *registration, now time.Time) (a wire.Registered, err error) {
	a.Meter.UC = r.ttp.number
	var partial *clpke.PartialKey
	switch s := &r.as.standing; r.as.change {
	case noChange:
		partial, err = u.issuedBefore(ctx, tx, r.id, &a)
	case isNew:
		partial, err = u.issueNew(ctx, tx, r.id, r.request.Mu, 0, &a)
	case isMoved:
		partial, err = u.issueMoved(ctx, tx, r.id, r.request.Mu, s, &a)
	case isRekeyed:
		partial, err = u.issueNext(ctx, tx, r.id, r.id, r.request.Mu, s, &a)
	case isSuccessor:
		partial, err = u.issueSuccessor(ctx, tx, r, now, &a)
	}
	if err != nil {
		return a, fmt.Errorf("key of meter %v: %w", r.id, err)
	}
	copy(a.D[:], partial.Bytes()[clpke.PointSize:])
	return a, nil
}

func (u *Utility) issuedBefore(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, a *wire.Registered) (*clpke.PartialKey, error) {
	var anID int64
	var box []byte
	err := tx.QueryRowContext(ctx, `
		SELECT p.an_id, p.base, s.statement, s.partial_key
		FROM pseudonyms p JOIN statements s ON s.an_id = p.an_id
		WHERE p.id_sm = ? ORDER BY p.base DESC, s.serial DESC LIMIT 1`, int64(id)).
		Scan(&anID, &a.EpochBase, &a.Statement, &box)
	if err != nil {
		return nil, err
	}
	a.Meter.Pseudonym = wattveil.Pseudonym(anID)
	raw, err := u.seal.Open(partialContext(a.Meter.Pseudonym), box)
	if err != nil {
		return nil, err
	}
	return clpke.ParsePartialKey(raw)
}

// issueNew draws a pseudonym that holds from the base in a on.
func (u *Utility) issueNew(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, mu clpke.Point, since int64, a *wire.Registered) (*clpke.PartialKey, error) {
	a.Meter.Pseudonym = u.cfg.Names.Pseudonym(id)
	return u.issueKey(ctx, tx, id, mu, firstSerial, since, a)
}

// issueKey makes a statement and notes from which epoch on the meter has the
// pseudonym.
func (u *Utility) issueKey(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, mu clpke.Point, serial uint32, since int64, a *wire.Registered) (*clpke.PartialKey, error) {
	center, err := kgc.New(kgc.Config{Master: u.master, Signer: u.signer, UC: a.Meter.UC})
	if err != nil {
		return nil, err
	}
	notBefore, notAfter := statementValidity(u.cfg.Now())
	signed, partial, err := center.Issue(clpke.MeterIdentity(a.Meter), mu, serial, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	a.Statement = signed
	_, err = tx.ExecContext(ctx, `INSERT INTO pseudonyms (id_sm, base, an_id, since) VALUES (?, ?, ?, ?)`,
		int64(id), a.EpochBase, int64(a.Meter.Pseudonym), since)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO statements (an_id, serial, statement, partial_key) VALUES (?, ?, ?, ?)`,
		int64(a.Meter.Pseudonym), serial, []byte(signed), u.seal.Seal(partialContext(a.Meter.Pseudonym), partial.Bytes()))
	return partial, err
}

// issueMoved ends a meter's pseudonym and draws the next one.
func (u *Utility) issueMoved(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, mu clpke.Point, s *standing, a *wire.Registered) (_ *clpke.PartialKey, err error) {
	if a.EpochBase, err = baseAbove(s.lastEpoch, moveSpread); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE meters SET move_at = NULL WHERE id_sm = ?`, int64(id)); err != nil {
		return nil, err
	}
	return u.issueNew(ctx, tx, id, mu, s.moveAt.Int64, a)
}

// issueNext issues the next key of the pseudonym that 'from' has, to a meter
// that is from itself or its successor.
func (u *Utility) issueNext(ctx context.Context, tx *sql.Tx, id, from wattveil.MeterID, mu clpke.Point, s *standing, a *wire.Registered) (_ *clpke.PartialKey, err error) {
	var anID int64
	var serial uint32
	err = tx.QueryRowContext(ctx, `
		SELECT an_id, (SELECT max(serial) FROM statements s WHERE s.an_id = p.an_id)
		FROM pseudonyms p WHERE id_sm = ? ORDER BY base DESC LIMIT 1`, int64(from)).Scan(&anID, &serial)
	if err != nil {
		return nil, err
	}
	a.Meter.Pseudonym = wattveil.Pseudonym(anID)
	if a.EpochBase, err = baseAbove(s.lastEpoch, 0); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE meters SET rekey = 0, last_epoch = max(last_epoch, ?) WHERE id_sm = ?`, a.EpochBase, int64(id))
	if err != nil {
		return nil, err
	}
	return u.issueKey(ctx, tx, id, mu, serial+1, s.since, a)
}

// issueSuccessor gives a device the pseudonym of the one that it replaces, or
// the next one if that was to move by now, and lets that one drain.
func (u *Utility) issueSuccessor(ctx context.Context, tx *sql.Tx, r *registration, now time.Time, a *wire.Registered) (*clpke.PartialKey, error) {
	from := wattveil.MeterID(r.as.predecessor.Int64)
	s, err := u.standing(ctx, tx, from)
	if err != nil {
		return nil, err
	}
	until := now.Add(drainFor).Unix()
	_, err = tx.ExecContext(ctx, `UPDATE meters SET drained = coalesce(drained, ?), move_at = NULL, rekey = 0 WHERE id_sm = ?`, until, int64(from))
	if err != nil {
		return nil, err
	}
	if s.moveDue(now) {
		return u.issueNew(ctx, tx, r.id, r.request.Mu, s.moveAt.Int64, a)
	}
	_, err = tx.ExecContext(ctx, `UPDATE meters SET move_at = ? WHERE id_sm = ?`, s.moveAt, int64(r.id))
	if err != nil {
		return nil, err
	}
	r.as.moveAt = s.moveAt
	return u.issueNext(ctx, tx, r.id, from, r.request.Mu, &s, a)
}

// succeeded brings memory up to date with a registration that is durable.
func (u *Utility) succeeded(r *registration) {
	u.forget(r.id)
	switch r.as.change {
	case isMoved:
		u.settled(r.id)
	case isSuccessor:
		u.settled(wattveil.MeterID(r.as.predecessor.Int64))
		if r.as.moveAt.Valid {
			u.mu.Lock()
			u.moves[r.id] = r.as.moveAt.Int64
			u.mu.Unlock()
		}
	}
}

func partialContext(p wattveil.Pseudonym) string { return "statements.partial_key " + p.String() }

// statementValidity is how long a statement holds that is made now, in Unix
// seconds at the start of a UTC day: when a meter registered, and so which
// meters were installed one after the other, is not the TTP's to know.
func statementValidity(now time.Time) (notBefore, notAfter int64) {
	day := now.Truncate(24 * time.Hour)
	return day.Add(-statementBackdate).Unix(), day.Add(statementLifetime).Unix()
}
