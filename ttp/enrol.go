package ttp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// utilityHandler answers a request of the utility with this number.
type utilityHandler func(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error)

// fromUtility finds the utility's number by its certificate: no body names it.
func (t *TTP) fromUtility(h utilityHandler) peer.Handler {
	return func(ctx context.Context, from peer.Name, _ *http.Request, body []byte) ([]byte, error) {
		t.mu.Lock()
		uc, ok := t.numberOf[from.Org]
		t.mu.Unlock()
		if !ok {
			return nil, fmt.Errorf("%w: utility %q", wire.Unknown, from.Org)
		}
		return h(ctx, uc, body)
	}
}

func (t *TTP) handleEnrolment(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	if err := needEmpty("enrolment", body); err != nil {
		return nil, err
	}
	user, err := t.userKey(ctx, uc)
	if err != nil {
		return nil, err
	}
	mu, root := user.Public(), clpke.PublicKeyPoint(&t.root.PublicKey)
	return json.Marshal(wire.Enrolment{Number: uc, Name: t.cfg.Name, Mu: mu[:], RootKey: root[:]})
}

func (t *TTP) userKey(ctx context.Context, uc wattveil.UCNumber) (*clpke.UserKey, error) {
	var box []byte
	if err := t.db.QueryRowContext(ctx, `SELECT user_key FROM utilities WHERE number = ?`, uc).Scan(&box); err != nil {
		return nil, fmt.Errorf("user key towards utility %v: %w", uc, err)
	}
	raw, err := t.seal.Open(userKeyContext(uc), box)
	if err != nil {
		return nil, err
	}
	return clpke.ParseUserKey(raw)
}

func userKeyContext(uc wattveil.UCNumber) string { return "utilities.user_key " + uc.String() }

func partialKeyContext(uc wattveil.UCNumber, serial uint32) string {
	return fmt.Sprintf("own_keys.partial_key %v %d", uc, serial)
}

// handleEnrolmentKey takes the TTP's own key from the utility's KGC and
// answers the root statement that shows meters whose key it is. The same
// statement again gets the same answer.
func (t *TTP) handleEnrolmentKey(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.EnrolmentKey
	if err := decode("enrolment", body, &in); err != nil {
		return nil, err
	}
	signer, err := t.checkKGC(uc, in.Certificate)
	if err != nil {
		return nil, err
	}
	release, err := t.turns.take(ctx, uc)
	if err != nil {
		return nil, err
	}
	defer release()
	var serial uint32
	var kept, root []byte
	found, err := registry.Find(t.db.QueryRowContext(ctx,
		`SELECT serial, statement, root_statement FROM own_keys WHERE uc = ? ORDER BY serial DESC LIMIT 1`, uc), &serial, &kept, &root)
	if err != nil {
		return nil, fmt.Errorf("own key of utility %v: %w", uc, err)
	}
	st, err := clpke.CompareStatements(kept, in.Statement, signer)
	if err != nil {
		return nil, t.refuseStatement(ctx, t.db, uc, err)
	}
	if !found || st.Serial != serial {
		if root, err = t.adoptKey(ctx, uc, st, in, signer); err != nil {
			return nil, err
		}
	}
	return json.Marshal(wire.EnrolmentRoot{Root: root})
}

// adoptKey checks that a verified statement is of the TTP's own key, keeps the
// key and gives its root statement.
func (t *TTP) adoptKey(ctx context.Context, uc wattveil.UCNumber, st clpke.Statement, in wire.EnrolmentKey, signer *ecdsa.PublicKey) ([]byte, error) {
	user, err := t.userKey(ctx, uc)
	if err != nil {
		return nil, err
	}
	partial, err := clpke.ParsePartialKey(in.PartialKey)
	if err != nil {
		return nil, fmt.Errorf("%w: partial key: %w", wire.Malformed, err)
	}
	if st.Identity() != clpke.TTPIdentity(uc, t.cfg.Name) || st.Mu != user.Public() || st.Omega != partial.Omega() {
		return nil, fmt.Errorf("%w: statement is of another key", wire.Malformed)
	}
	if _, err := clpke.NewPrivateKey(user, partial, st.Identity(), st.Master); err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Forged, err)
	}
	root, err := clpke.SignRoot(t.root, clpke.RootStatement{
		UC: uc, Omega: st.Omega, Mu: st.Mu, NotBefore: st.NotBefore, NotAfter: st.NotAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("sign root statement: %w", err)
	}
	kgc := clpke.PublicKeyPoint(signer)
	_, err = t.db.ExecContext(ctx,
		`INSERT INTO own_keys (uc, serial, kgc, partial_key, statement, root_statement) VALUES (?, ?, ?, ?, ?, ?)`,
		uc, st.Serial, kgc[:], t.seal.Seal(partialKeyContext(uc, st.Serial), partial.Bytes()), in.Statement, root)
	if err != nil {
		return nil, fmt.Errorf("keep own key of utility %v: %w", uc, err)
	}
	t.mu.Lock()
	delete(t.openers, uc)
	t.mu.Unlock()
	return root, nil
}

// checkKGC checks the certificate of a KGC's signing key.
func (t *TTP) checkKGC(uc wattveil.UCNumber, der []byte) (*ecdsa.PublicKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: KGC certificate: %w", wire.Malformed, err)
	}
	name, err := t.trust.VerifyIssued(cert, t.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: KGC certificate: %w", wire.Forged, err)
	}
	t.mu.Lock()
	number := t.numberOf[name.Org]
	t.mu.Unlock()
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if name.Role != peer.RoleKGC || number != uc || !ok {
		return nil, fmt.Errorf("%w: certificate of %v is no KGC's of utility %v", wire.Forged, name, uc)
	}
	return key, nil
}

// execer is a database or a transaction of it.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// refuseStatement gives a refused statement its class and keeps evidence.
func (t *TTP) refuseStatement(ctx context.Context, db execer, uc wattveil.UCNumber, err error) error {
	var evidence *clpke.EvidenceError
	switch {
	case errors.As(err, &evidence):
		t.cfg.Log.Error("utility signed two statements with one serial", "uc", uc, "class", "evidence")
		_, keepErr := db.ExecContext(ctx, `INSERT OR IGNORE INTO evidence (uc, kept, offered, seen) VALUES (?, ?, ?, ?)`,
			uc, []byte(evidence.Kept), []byte(evidence.Offered), t.cfg.Now().Unix())
		if keepErr != nil {
			return fmt.Errorf("keep evidence against utility %v: %w", uc, keepErr)
		}
		return fmt.Errorf("%w: %w", wire.Evidence, err)
	case errors.Is(err, clpke.ErrSerial):
		return fmt.Errorf("%w: %w", wire.Replayed, err)
	case errors.Is(err, clpke.ErrUnsigned):
		return fmt.Errorf("%w: %w", wire.Forged, err)
	default:
		return fmt.Errorf("%w: %w", wire.Malformed, err)
	}
}

// handleMeters enrols the statements of meters' keys. What is refused is
// answered by position, and the others are kept.
func (t *TTP) handleMeters(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.MeterStatements
	if err := decode("statements", body, &in); err != nil {
		return nil, err
	}
	signer, err := t.kgcKey(ctx, uc)
	if err != nil {
		return nil, err
	}
	offers := verifyStatements(in.Statements, signer)
	answer := wire.MeterStatementsAnswer{Refused: []wire.StatementRefusal{}}
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		for i := range offers {
			err := t.enrolMeter(ctx, tx, uc, &offers[i], signer)
			var class wire.Class
			switch {
			case errors.As(err, &class):
				t.counts.Add(class)
				answer.Refused = append(answer.Refused, wire.StatementRefusal{Position: i, Class: class})
			case err != nil:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("enrol meters of utility %v: %w", uc, err)
	}
	return json.Marshal(answer)
}

// offeredStatement is a meter's statement whose signature was checked.
type offeredStatement struct {
	signed []byte
	meter  wattveil.Meter // of utility 0 if it is of no meter
	serial uint32
	err    error // why it does not verify, if it does not
}

// verifyStatements checks signatures on all processors, which takes long
// enough to be kept out of a transaction.
func verifyStatements(signed [][]byte, signer *ecdsa.PublicKey) []offeredStatement {
	offers := make([]offeredStatement, len(signed))
	inParallel(len(signed), func(from, to int) {
		for i := from; i < to; i++ {
			st, err := clpke.VerifyStatement(signed[i], signer)
			offers[i] = offeredStatement{signed: signed[i], serial: st.Serial, err: err}
			if err == nil {
				offers[i].meter, _ = st.Identity().Meter()
			}
		}
	})
	return offers
}

// inParallel splits n pieces of work among all processors.
func inParallel(n int, work func(from, to int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { work(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}

// kgcKey is the key that signs a utility's statements.
func (t *TTP) kgcKey(ctx context.Context, uc wattveil.UCNumber) (*ecdsa.PublicKey, error) {
	var raw []byte
	found, err := registry.Find(t.db.QueryRowContext(ctx,
		`SELECT kgc FROM own_keys WHERE uc = ? ORDER BY serial DESC LIMIT 1`, uc), &raw)
	if err != nil {
		return nil, fmt.Errorf("KGC key of utility %v: %w", uc, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: utility %v has not enrolled the TTP's key yet", wire.Unenrolled, uc)
	}
	point, err := clpke.ParsePoint(raw)
	if err != nil {
		return nil, fmt.Errorf("KGC key of utility %v: %w", uc, err)
	}
	return point.ECDSA()
}

func (t *TTP) enrolMeter(ctx context.Context, tx *sql.Tx, uc wattveil.UCNumber, o *offeredStatement, signer *ecdsa.PublicKey) error {
	if o.err != nil {
		return t.refuseStatement(ctx, tx, uc, o.err)
	}
	if o.meter.UC != uc {
		return fmt.Errorf("%w: statement is of no meter of utility %v", wire.Forged, uc)
	}
	anID := int64(o.meter.Pseudonym)
	var kept []byte
	found, err := registry.Find(tx.QueryRowContext(ctx,
		`SELECT statement FROM statements WHERE uc = ? AND an_id = ? ORDER BY serial DESC LIMIT 1`, uc, anID), &kept)
	if err != nil {
		return err
	}
	if found {
		if bytes.Equal(kept, o.signed) {
			return nil
		}
		if _, err := clpke.CompareStatements(kept, o.signed, signer); err != nil {
			return t.refuseStatement(ctx, tx, uc, err)
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT OR IGNORE INTO statements (uc, an_id, serial, statement) VALUES (?, ?, ?, ?)`,
		uc, anID, o.serial, o.signed)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR IGNORE INTO meters (uc, an_id, locator) VALUES (?, ?, ?)`, uc, anID, wire.Locator(o.meter))
	return err
}

// RootKey is the public root key, whose fingerprint meters may pin.
func (t *TTP) RootKey() *ecdsa.PublicKey { return &t.root.PublicKey }
