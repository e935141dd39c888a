package utility

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// register answers a registration request (spec/protocol.md section 4.4). The
// frame it returns goes down to the meter; there may be one beside an error.
func (u *Utility) register(ctx context.Context, id wattveil.MeterID, frame []byte) ([]byte, error) {
	secret, err := u.secret(ctx, id)
	if err != nil {
		return nil, err
	}
	request, err := secret.OpenRegister(id, frame)
	if err != nil {
		return nil, err
	}
	t, err := u.trusteeOf(ctx, id)
	if err != nil {
		return nil, err
	}
	own, err := u.keysOf(ctx, t)
	if err != nil {
		return nil, err
	}
	now := u.cfg.Now()
	var answer wire.Registered
	err = registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		if err := u.admitRequest(ctx, tx, id, request, now); err != nil {
			return err
		}
		answer, err = u.issue(ctx, tx, own, id, request.Mu)
		return err
	})
	if errors.Is(err, wire.Stale) {
		return secret.RefuseRegister(id, frame, wire.RegisterRefusal{Nonce: request.Nonce, Time: now.Unix()}), err
	}
	if err != nil {
		return nil, err
	}
	u.members.Remove(id) // it has a pseudonym now
	answer.Time = now.Unix()
	answer.RootKey, answer.TTPStatement, answer.SignedTTPRoot = own.rootKey, own.statement, own.rootStatement
	return secret.Registered(id, frame, answer), nil
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
