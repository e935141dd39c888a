package utility

import (
	"context"
	"crypto/rand"
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
		var serial int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(roster), 0) + 1 FROM meters`).Scan(&serial); err != nil {
			return err
		}
		for i := range records { // each has its own serial, so that a collector can learn of any number in parts
			r := provision.Record{
				Meter: u.cfg.Names.MeterID(), Secret: wire.NewSecret(), Collectors: collectors,
				Domain: u.cfg.Org, KGC: clpke.PublicKeyPoint(&u.signer.PublicKey), Root: root,
			}
			hash := wire.PasswordHash(r.LinkPassword())
			_, err := tx.ExecContext(ctx, `INSERT INTO meters (id_sm, secret, password_hash, roster, ttp) VALUES (?, ?, ?, ?, ?)`,
				int64(r.Meter), u.seal.Seal(secretContext(r.Meter), r.Secret.Bytes()), hash[:], serial+int64(i), t.org)
			if err != nil {
				return err
			}
			records[i] = r
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add %d meters: %w", n, err)
	}
	return records, nil
}

func secretContext(id wattveil.MeterID) string { return "meters.secret " + id.String() }

// secret is S_SM-UC of a meter.
func (u *Utility) secret(ctx context.Context, id wattveil.MeterID) (wire.Secret, error) {
	var box []byte
	found, err := registry.Find(u.db.QueryRowContext(ctx, `SELECT secret FROM meters WHERE id_sm = ?`, int64(id)), &box)
	if err != nil {
		return wire.Secret{}, fmt.Errorf("find meter %v: %w", id, err)
	}
	if !found {
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
	secret, err := u.secret(ctx, id)
	if err != nil {
		return nil, err
	}
	m := &member{tag: secret.DataTagKey()}
	err = u.db.QueryRowContext(ctx, `SELECT last_epoch, ttp FROM meters WHERE id_sm = ?`, int64(id)).Scan(&m.last, &m.ttp)
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
	return m, nil
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
