package ttp

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// Utility is what the TTP knows of a utility.
type Utility struct {
	Number      wattveil.UCNumber
	Org         string
	Authorities []*x509.Certificate // that vouch for it
	Removed     bool
	Meters      MeterCounts
}

// MeterCounts is how far meters have come.
type MeterCounts struct {
	Enrolled    int // their statements are here
	Keyed       int // share session keys with the TTP
	Unconfirmed int // of the keyed: neither claimed nor pinned, so that somebody may stand between
	Failed      int // claims on them failed again and again, as when somebody stands between
}

// AddUtility lets the utility of an organisation in, with certificates of its
// own authorities, and gives it a number. Adding it again changes the
// authorities and keeps the number, also if it was removed in between.
func (t *TTP) AddUtility(ctx context.Context, org string, authorities ...*x509.Certificate) (wattveil.UCNumber, error) {
	if len(authorities) == 0 {
		return 0, fmt.Errorf("add utility %s: it has no authority", org)
	}
	var der []byte
	for _, a := range authorities {
		der = append(der, a.Raw...)
	}
	if err := (peer.Name{Org: org, Role: peer.RoleUtility}).Validate(); err != nil {
		return 0, err
	}
	user, err := clpke.NewUserKey()
	if err != nil {
		return 0, fmt.Errorf("add utility %s: %w", org, err)
	}
	var number wattveil.UCNumber
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		found, err := registry.Find(tx.QueryRowContext(ctx, `SELECT number FROM utilities WHERE org = ?`, org), &number)
		if err != nil {
			return err
		}
		if found {
			_, err = tx.ExecContext(ctx, `UPDATE utilities SET authority = ?, removed = NULL WHERE number = ?`, der, number)
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) + 1 FROM utilities`).Scan(&number); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO utilities (number, org, authority, user_key) VALUES (?, ?, ?, ?)`,
			number, org, der, t.seal.Seal(userKeyContext(number), user.Bytes()))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add utility %s: %w", org, err)
	}
	t.number(org, number)
	t.pin(org, authorities)
	return number, nil
}

// RemoveUtility refuses a utility from now on, on open connections too. What
// the TTP holds of its meters stays, under a number that nobody else gets.
func (t *TTP) RemoveUtility(ctx context.Context, org string) error {
	done, err := t.db.ExecContext(ctx, `UPDATE utilities SET removed = ? WHERE org = ? AND removed IS NULL`, t.cfg.Now().Unix(), org)
	if err != nil {
		return fmt.Errorf("remove utility %s: %w", org, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return t.noUtility(ctx, org)
	}
	t.trust.Revoke(org, peer.RoleUtility)
	t.trust.Revoke(org, peer.RoleKGC)
	return nil
}

func (t *TTP) pin(org string, authorities []*x509.Certificate) {
	t.trust.Pin(org, peer.RoleUtility, authorities...)
	t.trust.Pin(org, peer.RoleKGC, authorities...)
}

func (t *TTP) number(org string, number wattveil.UCNumber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.numberOf[org] = number
}

// NumberOf is the number of the utility of an organisation; 0 is none.
func (t *TTP) NumberOf(org string) wattveil.UCNumber {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.numberOf[org]
}

// loadUtilities trusts those of the registry that were not removed.
func (t *TTP) loadUtilities(ctx context.Context) error {
	list, err := t.utilities(ctx)
	if err != nil {
		return err
	}
	for _, u := range list {
		t.number(u.Org, u.Number)
		if u.Removed {
			t.trust.Revoke(u.Org, peer.RoleUtility)
			t.trust.Revoke(u.Org, peer.RoleKGC)
			continue
		}
		t.pin(u.Org, u.Authorities)
	}
	return nil
}

// utilities lists the utilities by number, without their meters.
func (t *TTP) utilities(ctx context.Context) (list []Utility, err error) {
	rows, err := t.db.QueryContext(ctx, `SELECT number, org, authority, removed IS NOT NULL FROM utilities ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("list utilities: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var u Utility
		var der []byte
		if err := rows.Scan(&u.Number, &u.Org, &der, &u.Removed); err != nil {
			return nil, fmt.Errorf("list utilities: %w", err)
		}
		if u.Authorities, err = x509.ParseCertificates(der); err != nil {
			return nil, fmt.Errorf("authority of utility %s: %w", u.Org, err)
		}
		list = append(list, u)
	}
	return list, rows.Err()
}

// noUtility says which utilities there are instead of one that there is not, if
// they are few.
func (t *TTP) noUtility(ctx context.Context, org string) error {
	const few = 8
	list, err := t.utilities(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, u := range list {
		if !u.Removed {
			names = append(names, u.Org)
		}
	}
	if len(names) == 0 || len(names) > few {
		return fmt.Errorf("%w: there is no utility %q", wire.Unknown, org)
	}
	return fmt.Errorf("%w: there is no utility %q; there are %s", wire.Unknown, org, strings.Join(names, ", "))
}

// Utilities lists the utilities by number, removed ones too.
func (t *TTP) Utilities(ctx context.Context) ([]Utility, error) {
	list, err := t.utilities(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Meters, err = t.countMeters(ctx, list[i].Number); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (t *TTP) countMeters(ctx context.Context, uc wattveil.UCNumber) (n MeterCounts, err error) {
	err = t.db.QueryRowContext(ctx, `
		SELECT count(*), coalesce(sum(keyed), 0), coalesce(sum(keyed AND NOT confirmed), 0),
			(SELECT count(*) FROM claim_flags f WHERE f.uc = ?2 AND f.times >= ?3 AND f.raised > ?4)
		FROM (
			SELECT m.confirmed, EXISTS (
				SELECT 1 FROM sessions s WHERE s.uc = m.uc AND s.an_id = m.an_id AND s.state = ?1 AND s.spent = 0
			) AS keyed
			FROM meters m WHERE m.uc = ?2)`, stateActive, uc, flagIsEvidence, t.cfg.Now().Add(-flagKept).Unix(),
	).Scan(&n.Enrolled, &n.Keyed, &n.Unconfirmed, &n.Failed)
	if err != nil {
		return n, fmt.Errorf("count meters of utility %v: %w", uc, err)
	}
	return n, nil
}
