package utility

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/kgc"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// EnrolTTP issues the keys of all TTPs and fetches their bill keys. It comes
// before any meter, and again to renew the keys with a higher serial.
func (u *Utility) EnrolTTP(ctx context.Context) error {
	if len(u.TTPs()) == 0 {
		_, err := u.trustee("")
		return err
	}
	return u.eachTTP(func(t *trustee) error {
		if err := u.enrolTTP(ctx, t); err != nil {
			return fmt.Errorf("enrol TTP %s: %w", t.org, err)
		}
		return nil
	})
}

func (u *Utility) enrolTTP(ctx context.Context, t *trustee) error {
	var e wire.Enrolment
	if err := u.ask(ctx, t, "POST", "/v1/enrolment", nil, &e); err != nil {
		return err
	}
	if err := u.sameTTP(ctx, t, e); err != nil {
		return err
	}
	var serial uint32
	err := u.db.QueryRowContext(ctx,
		`INSERT INTO ttp_serials (serial) SELECT coalesce(max(serial), 0) + 1 FROM ttp_serials RETURNING serial`).Scan(&serial)
	if err != nil {
		return err
	}
	signed, root, err := u.issueTTP(ctx, t, e, serial)
	if err != nil {
		return err
	}
	told, keys, err := u.fetchBillKeys(ctx, t)
	if err != nil {
		return err
	}
	set, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("bill keys: %w", err)
	}
	_, err = u.db.ExecContext(ctx, `
		INSERT OR REPLACE INTO ttps (name, uc_number, serial, root_key, statement, root_statement, bill_keys, log_origin, log_key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.Name, e.Number, serial, e.RootKey, signed, root, set, told.Origin, told.Log)
	if err != nil {
		return fmt.Errorf("keep its keys: %w", err)
	}
	return nil
}

// sameTTP checks that it is the TTP that was asked and, from the second time
// on, the one that its meters know by its number and root key.
func (u *Utility) sameTTP(ctx context.Context, t *trustee, e wire.Enrolment) error {
	if e.Name != t.org {
		return fmt.Errorf("it calls itself %q", e.Name)
	}
	if t.root != nil {
		if root, err := rootFingerprint(e.RootKey); err != nil || root != *t.root {
			return errors.Join(errors.New("its root key is not the one that its invitation names"), err)
		}
	}
	known, err := u.keysOf(ctx, t)
	switch {
	case errors.Is(err, wire.Unavailable):
		return nil // the first time
	case err != nil:
		return err
	case known.number != e.Number || !bytes.Equal(known.rootKey[:], e.RootKey):
		return errors.New("its number for this utility or its root key has changed: it is not the TTP that meters were registered with")
	}
	return nil
}

// issueTTP issues the TTP's key and returns its statement and root statement.
func (u *Utility) issueTTP(ctx context.Context, t *trustee, e wire.Enrolment, serial uint32) (signed, root []byte, err error) {
	mu, err := clpke.ParsePoint(e.Mu)
	if err != nil {
		return nil, nil, fmt.Errorf("its user value: %w", err)
	}
	rootPoint, err := clpke.ParsePoint(e.RootKey)
	if err != nil {
		return nil, nil, fmt.Errorf("its root key: %w", err)
	}
	rootKey, err := rootPoint.ECDSA()
	if err != nil {
		return nil, nil, fmt.Errorf("its root key: %w", err)
	}
	center, err := kgc.New(kgc.Config{Master: u.master, Signer: u.signer, UC: e.Number})
	if err != nil {
		return nil, nil, err
	}
	now := u.cfg.Now()
	statement, partial, err := center.Issue(clpke.TTPIdentity(e.Number, e.Name), mu, serial,
		now.Add(-statementBackdate).Unix(), now.Add(statementLifetime).Unix())
	if err != nil {
		return nil, nil, err
	}
	cert, err := u.KGCCertificate()
	if err != nil {
		return nil, nil, err
	}
	var answer wire.EnrolmentRoot
	request := wire.EnrolmentKey{Statement: statement, PartialKey: partial.Bytes(), Certificate: cert.Raw}
	if err := u.ask(ctx, t, "PUT", "/v1/enrolment", request, &answer); err != nil {
		return nil, nil, err
	}
	signedRoot, err := clpke.VerifyRoot(answer.Root, rootKey)
	if err != nil {
		return nil, nil, fmt.Errorf("its root statement: %w", err)
	}
	if signedRoot.UC != e.Number || signedRoot.Omega != partial.Omega() || signedRoot.Mu != mu {
		return nil, nil, errors.New("its root statement is of another key")
	}
	return statement, answer.Root, nil
}

const maxStatementsPerRequest = 4096

// EnrolMeters sends the statements that the TTPs do not have yet, in random
// order, so that their order does not tell who registered when. It goes on
// until none waits. What a TTP refuses is logged and not sent again.
func (u *Utility) EnrolMeters(ctx context.Context) error {
	return u.eachTTP(func(t *trustee) error { return u.enrolAt(ctx, t) })
}

func (u *Utility) enrolAt(ctx context.Context, t *trustee) error {
	for {
		waiting, err := u.waitingStatements(ctx, t)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if err := u.enrolSome(ctx, t, waiting); err != nil {
			return fmt.Errorf("enrol %d meters: %w", len(waiting), err)
		}
	}
}

// The states of a statement's enrolment that are not 0, waiting.
const (
	stateEnrolled = 1
	stateRefused  = 2
)

func (u *Utility) enrolSome(ctx context.Context, t *trustee, waiting []waitingStatement) error {
	var answer wire.MeterStatementsAnswer
	body := wire.MeterStatements{Statements: make([][]byte, len(waiting))}
	for i, w := range waiting {
		body.Statements[i] = w.signed
	}
	if err := u.ask(ctx, t, "POST", "/v1/meters", body, &answer); err != nil {
		return err
	}
	state := make([]int, len(waiting))
	for i := range state {
		state[i] = stateEnrolled
	}
	for _, r := range answer.Refused {
		if r.Position < 0 || r.Position >= len(waiting) {
			return fmt.Errorf("answer of the TTP: it refuses position %d", r.Position)
		}
		state[r.Position] = stateRefused
		u.counts.Add(r.Class)
		u.cfg.Log.Error("TTP refused a statement", "pseudonym", waiting[r.Position].pseudonym, "class", string(r.Class))
	}
	return registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		for i, w := range waiting {
			_, err := tx.ExecContext(ctx, `UPDATE statements SET enrolled = ? WHERE an_id = ? AND serial = ?`,
				state[i], int64(w.pseudonym), w.serial)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type waitingStatement struct {
	pseudonym wattveil.Pseudonym
	serial    uint32
	signed    []byte
}

func (u *Utility) waitingStatements(ctx context.Context, t *trustee) ([]waitingStatement, error) {
	rows, err := u.db.QueryContext(ctx, `
		SELECT s.an_id, s.serial, s.statement FROM statements s
		WHERE s.enrolled = 0 AND EXISTS (
			SELECT 1 FROM pseudonyms p JOIN meters m ON m.id_sm = p.id_sm
			WHERE p.an_id = s.an_id AND (m.ttp = ? OR m.ttp = '')) LIMIT ?`, t.org, maxStatementsPerRequest)
	if err != nil {
		return nil, fmt.Errorf("statements to enrol: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []waitingStatement
	for rows.Next() {
		var w waitingStatement
		var anID int64
		if err := rows.Scan(&anID, &w.serial, &w.signed); err != nil {
			return nil, fmt.Errorf("statements to enrol: %w", err)
		}
		w.pseudonym = wattveil.Pseudonym(anID)
		list = append(list, w)
	}
	for i := len(list) - 1; i > 0; i-- {
		j, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return nil, fmt.Errorf("shuffle statements: %w", err)
		}
		list[i], list[j.Int64()] = list[j.Int64()], list[i]
	}
	return list, rows.Err()
}

// ask calls a TTP with JSON bodies.
func (u *Utility) ask(ctx context.Context, t *trustee, method, path string, request, answer any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	out, err := u.call(ctx, t, method, path, body)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("answer of the TTP to %s: %w", path, err)
	}
	return nil
}

// isRefusal tells an answer of the TTP that says no from a missing answer.
func isRefusal(err error) bool {
	var refusal *peer.Refusal
	return errors.As(err, &refusal) && refusal.Class != wire.Unavailable
}
