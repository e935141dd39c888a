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
			if r.err = u.admitRequest(ctx, tx, r.id, r.request, now); r.err == nil {
				r.answer, r.err = u.issue(ctx, tx, r.ttp, r.id, r.request.Mu)
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
		u.members.Remove(r.id) // it has a pseudonym now
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

// admitRequest checks the request's time and user value, and notes them.
func (u *Utility) admitRequest(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, r wire.RegisterRequest, now time.Time) error {
	var last int64
	var mu []byte
	err := tx.QueryRowContext(ctx, `SELECT last_time, mu FROM meters WHERE id_sm = ?`, int64(id)).Scan(&last, &mu)
	if err != nil {
		return fmt.Errorf("registration of meter %v: %w", id, err)
	}
	switch at := time.Unix(r.Time, 0); {
	case last != 0 && r.Time <= last:
		return fmt.Errorf("%w: registration of meter %v", wire.Replayed, id)
	case at.Before(now.Add(-maxBehind)) || at.After(now.Add(maxAhead)):
		return fmt.Errorf("%w: clock of meter %v", wire.Stale, id)
	case mu != nil && string(mu) != string(r.Mu[:]):
		return fmt.Errorf("%w: meter %v", wire.Rebound, id)
	}
	if _, err := clpke.ParsePoint(r.Mu[:]); err != nil {
		return fmt.Errorf("%w: user value of meter %v", wire.Malformed, id)
	}
	_, err = tx.ExecContext(ctx, `UPDATE meters SET last_time = ?, mu = ? WHERE id_sm = ?`, r.Time, r.Mu[:], int64(id))
	return err
}

// issue is the meter's pseudonym and key: those it has, or new ones.
func (u *Utility) issue(ctx context.Context, tx *sql.Tx, own *trusteeKeys, id wattveil.MeterID, mu [wire.PointSize]byte) (wire.Registered, error) {
	a := wire.Registered{Meter: wattveil.Meter{UC: own.number}}
	var anID int64
	var box []byte
	found, err := registry.Find(tx.QueryRowContext(ctx, `
		SELECT p.an_id, p.base, s.statement, s.partial_key
		FROM pseudonyms p JOIN statements s ON s.an_id = p.an_id
		WHERE p.id_sm = ? ORDER BY p.base DESC, s.serial DESC LIMIT 1`, int64(id)),
		&anID, &a.EpochBase, &a.Statement, &box)
	if err != nil {
		return a, fmt.Errorf("key of meter %v: %w", id, err)
	}
	var partial *clpke.PartialKey
	if found {
		a.Meter.Pseudonym = wattveil.Pseudonym(anID)
		raw, err := u.seal.Open(partialContext(a.Meter.Pseudonym), box)
		if err != nil {
			return a, err
		}
		partial, err = clpke.ParsePartialKey(raw)
		if err != nil {
			return a, fmt.Errorf("key of meter %v: %w", id, err)
		}
	} else if partial, err = u.issueNew(ctx, tx, id, mu, &a); err != nil {
		return a, fmt.Errorf("issue key of meter %v: %w", id, err)
	}
	copy(a.D[:], partial.Bytes()[clpke.PointSize:])
	return a, nil
}

func (u *Utility) issueNew(ctx context.Context, tx *sql.Tx, id wattveil.MeterID, mu clpke.Point, a *wire.Registered) (*clpke.PartialKey, error) {
	a.Meter.Pseudonym = u.cfg.Names.Pseudonym(id)
	center, err := kgc.New(kgc.Config{Master: u.master, Signer: u.signer, UC: a.Meter.UC})
	if err != nil {
		return nil, err
	}
	notBefore, notAfter := statementValidity(u.cfg.Now())
	signed, partial, err := center.Issue(clpke.MeterIdentity(a.Meter), mu, firstSerial, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	a.Statement = signed
	_, err = tx.ExecContext(ctx, `INSERT INTO pseudonyms (id_sm, base, an_id) VALUES (?, ?, ?)`,
		int64(id), a.EpochBase, int64(a.Meter.Pseudonym))
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO statements (an_id, serial, statement, partial_key) VALUES (?, ?, ?, ?)`,
		int64(a.Meter.Pseudonym), firstSerial, []byte(signed), u.seal.Seal(partialContext(a.Meter.Pseudonym), partial.Bytes()))
	return partial, err
}

func partialContext(p wattveil.Pseudonym) string { return "statements.partial_key " + p.String() }

// statementValidity is how long a statement holds that is made now, in Unix
// seconds at the start of a UTC day: when a meter registered, and so which
// meters were installed one after the other, is not the TTP's to know.
func statementValidity(now time.Time) (notBefore, notAfter int64) {
	day := now.Truncate(24 * time.Hour)
	return day.Add(-statementBackdate).Unix(), day.Add(statementLifetime).Unix()
}
