package ttp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

// Of spec/portal.md sections 1.2 and 1.4.
const (
	labelRetired   = "wattveil1 claim retired"
	retiredSize    = 4
	maxRetired     = 1024
	flagEvery      = time.Hour
	flagKept       = 30 * 24 * time.Hour
	flagIsEvidence = 3
)

// CheckClaim finds the meter that a claim code proves, and confirms it. A
// refusal is a [consumer.Class]; it changes nothing but a flag
// (spec/portal.md section 1.1).
func (c *Consumers) CheckClaim(ctx context.Context, text string) (wattveil.Meter, error) {
	code, err := wire.ParseClaimCode(text)
	if err != nil {
		return wattveil.Meter{}, fmt.Errorf("%w: %w", consumer.Malformed, err)
	}
	now := c.t.cfg.Now()
	if !c.limits.admit(now) {
		return wattveil.Meter{}, consumer.Busy
	}
	var proved wattveil.Meter
	var refused consumer.Class
	err = registry.Tx(ctx, c.t.db, func(tx *sql.Tx) error {
		found, err := c.match(ctx, tx, code)
		if err != nil {
			return err
		}
		if proved, refused = found.answer(); refused == "" {
			return confirmMeter(ctx, tx, proved)
		}
		if refused != consumer.Interception {
			return nil
		}
		if !c.limits.admitFailure(code.Locator, now) {
			refused = consumer.Limited
			return nil
		}
		return raiseFlags(ctx, tx, code.Locator, now)
	})
	if err != nil {
		return wattveil.Meter{}, fmt.Errorf("check a claim: %w", err)
	}
	if refused != "" {
		c.t.cfg.Log.Info("claim refused", "class", string(refused))
		return wattveil.Meter{}, refused
	}
	c.t.cfg.Log.Info("claim proved", "meter", proved)
	return proved, nil
}

// matches is what a code was compared with, and what it was equal to.
type matches struct {
	compared int
	current  []wattveil.Meter // of epochs that a code may be of
	earlier  int
}

// answer is the meter that is proved, or the class of spec/portal.md 1.1.
func (m *matches) answer() (wattveil.Meter, consumer.Class) {
	switch {
	case len(m.current) == 1 && m.earlier == 0:
		return m.current[0], ""
	case len(m.current) > 0 || m.earlier > 0:
		return wattveil.Meter{}, consumer.EarlierEpoch
	case m.compared == 0:
		return wattveil.Meter{}, consumer.Unknown
	default:
		return wattveil.Meter{}, consumer.Interception
	}
}

// match compares a code with every kept epoch of every meter that has its
// locator, and with what is left of destroyed epochs. It takes as long whether
// or where one is equal.
func (c *Consumers) match(ctx context.Context, tx *sql.Tx, code wire.ClaimCode) (*matches, error) {
	kept, err := keptEpochs(ctx, tx, code.Locator)
	if err != nil {
		return nil, err
	}
	found := new(matches)
	for _, k := range kept {
		keys, err := c.t.openKeys(k.meter, k.epoch, k.keys)
		if err != nil {
			return nil, err
		}
		found.compared++
		equal := subtle.ConstantTimeCompare(keys.Claim[:len(code.Secret)], code.Secret[:]) == 1
		switch {
		case equal && k.state != stateClosed && k.epoch >= k.newest:
			found.current = append(found.current, k.meter)
		case equal:
			found.earlier++
		}
	}
	retired, err := retiredCodes(ctx, tx, code.Locator)
	if err != nil {
		return nil, err
	}
	for m, digests := range retired {
		want := retiredDigest(m, code.Secret)
		for ; len(digests) >= retiredSize; digests = digests[retiredSize:] {
			found.compared++
			found.earlier += subtle.ConstantTimeCompare(digests[:retiredSize], want[:])
		}
	}
	return found, nil
}

// keptEpoch is an epoch whose keys the TTP has.
type keptEpoch struct {
	meter  wattveil.Meter
	epoch  wattveil.Epoch
	newest wattveil.Epoch // active one of the meter, 0 if none
	state  string
	keys   []byte
}

func keptEpochs(ctx context.Context, tx *sql.Tx, locator uint32) (list []keptEpoch, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT s.uc, s.an_id, s.epoch, s.state, s.keys, coalesce((
			SELECT max(epoch) FROM sessions a WHERE a.uc = s.uc AND a.an_id = s.an_id AND a.state = ?2), 0)
		FROM meters m JOIN sessions s ON s.uc = m.uc AND s.an_id = m.an_id WHERE m.locator = ?1`, locator, stateActive)
	if err != nil {
		return nil, fmt.Errorf("epochs of a locator: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var k keptEpoch
		var anID int64
		if err := rows.Scan(&k.meter.UC, &anID, &k.epoch, &k.state, &k.keys, &k.newest); err != nil {
			return nil, err
		}
		k.meter.Pseudonym = wattveil.Pseudonym(anID)
		list = append(list, k)
	}
	return list, rows.Err()
}

func retiredCodes(ctx context.Context, tx *sql.Tx, locator uint32) (of map[wattveil.Meter][]byte, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT r.uc, r.an_id, r.digests FROM meters m JOIN retired_codes r ON r.uc = m.uc AND r.an_id = m.an_id WHERE m.locator = ?`, locator)
	if err != nil {
		return nil, fmt.Errorf("retired codes of a locator: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	of = make(map[wattveil.Meter][]byte)
	for rows.Next() {
		var m wattveil.Meter
		var anID int64
		var digests []byte
		if err := rows.Scan(&m.UC, &anID, &digests); err != nil {
			return nil, err
		}
		m.Pseudonym = wattveil.Pseudonym(anID)
		of[m] = digests
	}
	return of, rows.Err()
}

// retiredDigest is what is kept of a destroyed epoch's code.
func retiredDigest(m wattveil.Meter, secret [10]byte) [retiredSize]byte {
	b := binary.BigEndian.AppendUint32([]byte(labelRetired), uint32(m.UC))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Pseudonym))
	sum := sha256.Sum256(append(b, secret[:]...))
	return [retiredSize]byte(sum[:])
}

// retireCode keeps what is left of an epoch's claim code before its keys are
// destroyed. Keys that cannot be opened leave nothing.
func (t *TTP) retireCode(ctx context.Context, tx *sql.Tx, m wattveil.Meter, epoch wattveil.Epoch) error {
	var box, digests []byte
	found, err := registry.Find(tx.QueryRowContext(ctx,
		`SELECT keys FROM sessions WHERE uc = ? AND an_id = ? AND epoch = ?`, m.UC, int64(m.Pseudonym), epoch), &box)
	if err != nil || !found {
		return err
	}
	keys, err := t.openKeys(m, epoch, box)
	if err != nil {
		t.cfg.Log.Error("keys of a destroyed epoch do not open: its claim code will be called interception", "meter", m, "error", err)
		return nil
	}
	_, err = registry.Find(tx.QueryRowContext(ctx,
		`SELECT digests FROM retired_codes WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym)), &digests)
	if err != nil {
		return err
	}
	digest := retiredDigest(m, wire.NewClaimCode(m, keys.Claim).Secret)
	digests = append(digests, digest[:]...)
	if over := len(digests) - maxRetired*retiredSize; over > 0 {
		digests = digests[over:]
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO retired_codes (uc, an_id, digests) VALUES (?1, ?2, ?3)
		ON CONFLICT (uc, an_id) DO UPDATE SET digests = ?3`, m.UC, int64(m.Pseudonym), digests)
	return err
}

// confirmMeter notes that a meter's code was proved. Flags stay: whoever stands
// between has a code that proves its sham meter (spec/portal.md section 1.4).
func confirmMeter(ctx context.Context, tx *sql.Tx, m wattveil.Meter) error {
	_, err := tx.ExecContext(ctx, `UPDATE meters SET confirmed = 1 WHERE uc = ? AND an_id = ?`, m.UC, int64(m.Pseudonym))
	return err
}

// raiseFlags flags the meters of a locator, each at most once an hour.
func raiseFlags(ctx context.Context, tx *sql.Tx, locator uint32, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO claim_flags (uc, an_id, raised, times) SELECT uc, an_id, ?2, 1 FROM meters WHERE locator = ?1
		ON CONFLICT (uc, an_id) DO UPDATE
			SET raised = ?2, times = CASE WHEN raised <= ?4 THEN 1 ELSE times + 1 END WHERE raised <= ?3`,
		locator, now.Unix(), now.Add(-flagEvery).Unix(), now.Add(-flagKept).Unix())
	return err
}

// fillLocators gives meters that were enrolled before there was a portal
// their locators.
func (t *TTP) fillLocators(ctx context.Context) error {
	for {
		done, err := t.fillSomeLocators(ctx)
		if err != nil {
			return fmt.Errorf("locators of meters: %w", err)
		}
		if done {
			return nil
		}
	}
}

func (t *TTP) fillSomeLocators(ctx context.Context) (done bool, err error) {
	const atOnce = 1000
	err = registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		list, err := metersOf(tx.QueryContext(ctx, `SELECT uc, an_id FROM meters WHERE locator IS NULL LIMIT ?`, atOnce))
		for _, m := range list {
			_, err := tx.ExecContext(ctx, `UPDATE meters SET locator = ? WHERE uc = ? AND an_id = ?`,
				wire.Locator(m), m.UC, int64(m.Pseudonym))
			if err != nil {
				return err
			}
		}
		done = len(list) < atOnce
		return err
	})
	return done, err
}

// metersOf reads rows of UC number and an-ID.
func metersOf(rows *sql.Rows, err error) (list []wattveil.Meter, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var m wattveil.Meter
		var anID int64
		if err := rows.Scan(&m.UC, &anID); err != nil {
			return nil, err
		}
		m.Pseudonym = wattveil.Pseudonym(anID)
		list = append(list, m)
	}
	return list, rows.Err()
}
