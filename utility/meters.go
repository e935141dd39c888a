package utility

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

type randomNames struct{}

func (randomNames) MeterID() wattveil.MeterID { return wattveil.MeterID(random64()) }

func (randomNames) Pseudonym(wattveil.MeterID) wattveil.Pseudonym {
	return wattveil.Pseudonym(random64())
}

func random64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// AddMeters makes n meters of the only TTP known and gives the records to
// provision them with. root pins the TTP's root key in them; nil leaves them
// unpinned.
func (u *Utility) AddMeters(ctx context.Context, n int, collectors []string, root *[32]byte) ([]provision.Record, error) {
	return u.AddMetersOf(ctx, "", n, collectors, root)
}

// AddMetersOf is AddMeters for the TTP of an organisation.
func (u *Utility) AddMetersOf(ctx context.Context, ttp string, n int, collectors []string, root *[32]byte) ([]provision.Record, error) {
	t, err := u.trustee(ttp)
	if err != nil {
		return nil, fmt.Errorf("add %d meters: %w", n, err)
	}
	records := make([]provision.Record, n)
	err = registry.Tx(ctx, u.db, func(tx *sql.Tx) error {
		serial, err := nextRoster(ctx, tx)
		if err != nil {
			return err
		}
		for i := range records { // each has its own serial, so that a collector can learn of any number in parts
			r, err := u.newRecord(collectors, root)
			if err != nil {
				return err
			}
			records[i] = r
			if err := u.insertMeter(ctx, tx, r, serial+int64(i), t.org, sql.NullInt64{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add %d meters: %w", n, err)
	}
	return records, nil
}

// RecordAgain gives the record of a meter once more, for one that was lost
// before the meter was provisioned. Once a meter has registered, or is not to
// any more, there is no other copy of its secret to be had.
func (u *Utility) RecordAgain(ctx context.Context, id wattveil.MeterID, collectors []string, root *[32]byte) (provision.Record, error) {
	m, err := u.Meter(ctx, id)
	switch {
	case err != nil:
		return provision.Record{}, err
	case m.State != MeterAdded || !m.RetiredAt.IsZero():
		return provision.Record{}, fmt.Errorf("%w: meter %v has registered, or was retired: its record is given no more", wire.Rebound, id)
	}
	secret, err := u.secret(ctx, id)
	if err != nil {
		return provision.Record{}, fmt.Errorf("record of meter %v: %w", id, err)
	}
	return u.record(id, secret, collectors, root)
}

// nextRoster is the serial of the next change of the roster.
func nextRoster(ctx context.Context, tx *sql.Tx) (serial int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(max(roster), 0) + 1 FROM meters`).Scan(&serial)
	return serial, err
}

func (u *Utility) newRecord(collectors []string, root *[32]byte) (provision.Record, error) {
	return u.record(u.cfg.Names.MeterID(), wire.NewSecret(), collectors, root)
}

func (u *Utility) record(id wattveil.MeterID, secret wire.Secret, collectors []string, root *[32]byte) (provision.Record, error) {
	authority, err := u.collectorAuthority(collectors)
	return provision.Record{
		Meter: id, Secret: secret, Collectors: collectors,
		Domain: u.cfg.Org, Authority: authority, KGC: clpke.PublicKeyPoint(&u.signer.PublicKey), Root: root,
	}, err
}

func (u *Utility) insertMeter(ctx context.Context, tx *sql.Tx, r provision.Record, serial int64, ttp string, predecessor sql.NullInt64) error {
	hash := wire.PasswordHash(r.LinkPassword())
	_, err := tx.ExecContext(ctx,
		`INSERT INTO meters (id_sm, secret, password_hash, roster, added, ttp, predecessor) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)`,
		int64(r.Meter), u.seal.Seal(secretContext(r.Meter), r.Secret.Bytes()), hash[:], serial, ttp, predecessor)
	return err
}

// collectorAuthority is what meters know collectors by: nil if no address is one
// over TLS.
func (u *Utility) collectorAuthority(addresses []string) (*x509.Certificate, error) {
	for _, address := range addresses {
		overTLS, err := provision.OverTLS(address)
		if err != nil {
			return nil, fmt.Errorf("collector: %w", err)
		}
		if overTLS {
			return u.cfg.Authority.Certificate, nil
		}
	}
	return nil, nil
}

func secretContext(id wattveil.MeterID) string { return "meters.secret " + id.String() }

// secret is S_SM-UC of a meter.
func (u *Utility) secret(ctx context.Context, id wattveil.MeterID) (wire.Secret, error) {
	var box []byte
	found, err := registry.Find(u.db.QueryRowContext(ctx, `SELECT secret FROM meters WHERE id_sm = ?`, int64(id)), &box)
	if err != nil {
		return wire.Secret{}, fmt.Errorf("find meter %v: %w", id, err)
	}
	if !found || len(box) == 0 { // or destroyed
		return wire.Secret{}, fmt.Errorf("%w: meter %v", wire.Unknown, id)
	}
	raw, err := u.seal.Open(secretContext(id), box)
	if err != nil {
		return wire.Secret{}, err
	}
	return wire.ParseSecret(raw)
}

// member is a meter held ready for its data messages.
type member struct {
	tag *wire.TagKey
	// ranges are the meter's pseudonyms by rising base.
	ranges []pseudonymRange
	last   wattveil.Epoch // of the last M1
	ttp    string         // organisation

	drained  int64 // Unix seconds from which on it is unknown, if it takes nothing new; else 0
	reissued bool  // its last pseudonym has more than one statement
}

type pseudonymRange struct {
	base      wattveil.Epoch
	pseudonym wattveil.Pseudonym
}

// member finds a meter in memory or in the registry.
func (u *Utility) member(ctx context.Context, id wattveil.MeterID) (*member, error) {
	if m, ok := u.members.Get(id); ok {
		return m, nil
	}
	changes := u.changes.Load()
	secret, err := u.secret(ctx, id)
	if err != nil {
		return nil, err
	}
	m := &member{tag: secret.DataTagKey()}
	err = u.db.QueryRowContext(ctx, `
		SELECT last_epoch, ttp, coalesce(drained, 0), EXISTS (
			SELECT 1 FROM statements s WHERE s.serial > 1 AND s.an_id = (
				SELECT an_id FROM pseudonyms WHERE id_sm = ?1 ORDER BY base DESC LIMIT 1))
		FROM meters WHERE id_sm = ?1`, int64(id)).Scan(&m.last, &m.ttp, &m.drained, &m.reissued)
	if err != nil {
		return nil, fmt.Errorf("find meter %v: %w", id, err)
	}
	rows, err := u.db.QueryContext(ctx, `SELECT base, an_id FROM pseudonyms WHERE id_sm = ? ORDER BY base`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("find pseudonyms of meter %v: %w", id, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r pseudonymRange
		var anID int64
		if err := rows.Scan(&r.base, &anID); err != nil {
			return nil, fmt.Errorf("find pseudonyms of meter %v: %w", id, err)
		}
		r.pseudonym = wattveil.Pseudonym(anID)
		m.ranges = append(m.ranges, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find pseudonyms of meter %v: %w", id, err)
	}
	u.members.Add(id, m)
	if u.changes.Load() != changes { // perhaps of this meter, and read before
		u.members.Remove(id)
	}
	return m, nil
}

// forget has a meter read from the registry again, where its standing has
// changed durably.
func (u *Utility) forget(id wattveil.MeterID) {
	u.changes.Add(1)
	u.members.Remove(id)
}

// unknown tells whether a meter has drained.
func (u *Utility) unknown(m *member) bool { return m.drained != 0 && u.cfg.Now().Unix() >= m.drained }

// statementWaits tells whether the TTP does not have the newest statement of a
// pseudonym yet. It would answer an M1 under the one before.
func (u *Utility) statementWaits(ctx context.Context, p wattveil.Pseudonym) (bool, error) {
	var enrolled int
	err := u.db.QueryRowContext(ctx, `SELECT enrolled FROM statements WHERE an_id = ? ORDER BY serial DESC LIMIT 1`, int64(p)).Scan(&enrolled)
	if err != nil {
		return false, fmt.Errorf("statement of %v: %w", p, err)
	}
	return enrolled != stateEnrolled, nil
}

// pseudonym is the an-ID that the meter had in the epoch with this low byte.
func (m *member) pseudonym(low byte) (wattveil.Pseudonym, error) {
	if len(m.ranges) == 0 {
		return 0, fmt.Errorf("%w: meter has not registered", wire.Unenrolled)
	}
	epoch := extend(m.last, low, m.ranges[0].base)
	for i := len(m.ranges) - 1; i >= 0; i-- {
		if epoch > m.ranges[i].base {
			return m.ranges[i].pseudonym, nil
		}
	}
	return m.ranges[0].pseudonym, nil
}

// extend is the epoch with this low byte that is nearest to the last one seen
// and above the first base (spec/protocol.md section 2).
func extend(last wattveil.Epoch, low byte, base wattveil.Epoch) wattveil.Epoch {
	near := int64(last) + int64(int8(low-last.Low()))
	for near <= int64(base) {
		near += 256
	}
	for near > math.MaxUint32 {
		near -= 256
	}
	return wattveil.Epoch(near)
}

// Meters lists the pseudonyms of all registered meters by ID_SM.
func (u *Utility) Meters(ctx context.Context) (map[wattveil.MeterID]wattveil.Pseudonym, error) {
	rows, err := u.db.QueryContext(ctx, `SELECT id_sm, an_id FROM pseudonyms ORDER BY base`)
	if err != nil {
		return nil, fmt.Errorf("list meters: %w", err)
	}
	defer func() { _ = rows.Close() }()
	list := make(map[wattveil.MeterID]wattveil.Pseudonym)
	for rows.Next() {
		var id, anID int64
		if err := rows.Scan(&id, &anID); err != nil {
			return nil, fmt.Errorf("list meters: %w", err)
		}
		list[wattveil.MeterID(id)] = wattveil.Pseudonym(anID)
	}
	return list, rows.Err()
}
