package ttp

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/wire"
)

// billKeys are the keys that sign bills, by when they begin to. A new one is
// published at once and signs later, so that whoever verifies has it in time;
// those before stay published, for the bills that they signed.
type billKeys struct {
	mu   sync.Mutex
	list []billKey // by signsFrom; never empty
}

type billKey struct {
	*bill.SigningKey
	made, signsFrom int64
}

// BillKey is a key as it is shown.
type BillKey struct {
	ID        string
	Made      time.Time
	SignsFrom time.Time
	Signs     bool // now
}

// signer is the key that signs at a time.
func (k *billKeys) signer(now time.Time) *bill.SigningKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[k.current(now)].SigningKey
}

// current is the place of the key that signs at a time. The caller holds mu.
func (k *billKeys) current(now time.Time) int {
	at := 0
	for i := range k.list {
		if k.list[i].signsFrom <= now.Unix() {
			at = i
		}
	}
	return at
}

const seedContext = "bill_keys.seed"

// loadBillKeys reads the keys that sign bills, and draws the first.
func (t *TTP) loadBillKeys(ctx context.Context) error {
	err := each(ctx, t.db, func(rows *sql.Rows) error {
		var k billKey
		var id string
		var box []byte
		if err := rows.Scan(&id, &box, &k.made, &k.signsFrom); err != nil {
			return err
		}
		seed, err := t.seal.Open(seedContext+" "+id, box)
		if err != nil {
			return err
		}
		if k.SigningKey, err = bill.NewSigningKey(seed); err != nil {
			return err
		}
		t.billKeys.list = append(t.billKeys.list, k)
		return nil
	}, `SELECT id, seed, made, signs_from FROM bill_keys ORDER BY signs_from, made, id`)
	if err != nil {
		return fmt.Errorf("bill keys: %w", err)
	}
	if len(t.billKeys.list) > 0 {
		return nil
	}
	_, err = t.addBillKey(ctx, t.cfg.Now())
	return err
}

func (t *TTP) addBillKey(ctx context.Context, signsFrom time.Time) (billKey, error) {
	key, err := bill.GenerateSigningKey()
	if err != nil {
		return billKey{}, err
	}
	k := billKey{key, t.cfg.Now().Unix(), signsFrom.Unix()}
	_, err = t.db.ExecContext(ctx, `INSERT INTO bill_keys (id, seed, made, signs_from) VALUES (?, ?, ?, ?)`,
		key.ID(), t.seal.Seal(seedContext+" "+key.ID(), key.Seed()), k.made, k.signsFrom)
	if err != nil {
		return billKey{}, fmt.Errorf("keep bill key: %w", err)
	}
	t.billKeys.mu.Lock()
	defer t.billKeys.mu.Unlock()
	t.billKeys.list = append(t.billKeys.list, k)
	return k, nil
}

// maxPublished is how many keys a set may have (spec/bill.md section 2).
const maxPublished = 64

// RotateBillKey draws a key that is published now and signs after the overlap
// of the configuration. There is no other while one waits to sign.
func (t *TTP) RotateBillKey(ctx context.Context) (BillKey, error) {
	now := t.cfg.Now()
	t.billKeys.mu.Lock()
	n := len(t.billKeys.list)
	last := t.billKeys.list[n-1]
	t.billKeys.mu.Unlock()
	switch {
	case last.signsFrom > now.Unix():
		return BillKey{}, fmt.Errorf("key %s is published and signs from %s on: rotate again after that", last.ID(), unixTime(last.signsFrom).UTC().Format(time.RFC3339))
	case n >= maxPublished:
		return BillKey{}, fmt.Errorf("%d keys are published, which is all that a key set may have", n)
	}
	k, err := t.addBillKey(ctx, now.Add(t.cfg.BillKeyOverlap))
	if err != nil {
		return BillKey{}, err
	}
	return BillKey{ID: k.ID(), Made: unixTime(k.made), SignsFrom: unixTime(k.signsFrom)}, nil
}

// BillKeyList lists the keys by when they begin to sign.
func (t *TTP) BillKeyList() []BillKey {
	t.billKeys.mu.Lock()
	defer t.billKeys.mu.Unlock()
	list := make([]BillKey, len(t.billKeys.list))
	for i, k := range t.billKeys.list {
		list[i] = BillKey{ID: k.ID(), Made: unixTime(k.made), SignsFrom: unixTime(k.signsFrom)}
	}
	list[t.billKeys.current(t.cfg.Now())].Signs = true
	return list
}

// BillKeys is the public key set that the TTP's bills verify under.
func (t *TTP) BillKeys() (bill.KeySet, error) {
	t.billKeys.mu.Lock()
	defer t.billKeys.mu.Unlock()
	public := make([]ed25519.PublicKey, len(t.billKeys.list))
	for i, k := range t.billKeys.list {
		public[i] = k.Public()
	}
	return bill.NewKeySet(public...)
}

func (t *TTP) handleBillKeys(_ context.Context, _ wattveil.UCNumber, body []byte) ([]byte, error) {
	if err := needEmpty("bill-keys", body); err != nil {
		return nil, err
	}
	keys, err := t.BillKeys()
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	log, err := t.log.PublicKey()
	if err != nil {
		return nil, err
	}
	return json.Marshal(wire.BillKeys{JWKS: set, Origin: t.log.Origin(), Log: log})
}
