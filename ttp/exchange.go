package ttp

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	clpkeopen "github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/wire"
)

const (
	maxPending = 4
	maxLive    = 8
)

// opener is one of the TTP's private keys towards one utility.
type opener struct {
	key       *clpke.PrivateKey
	statement [32]byte // SHA-256 of the signed statement
}

// ownKeys are the private keys towards a utility, newest first.
func (t *TTP) ownKeys(ctx context.Context, uc wattveil.UCNumber) ([]*opener, error) {
	t.mu.Lock()
	own := t.openers[uc]
	t.mu.Unlock()
	if own != nil {
		return own, nil
	}
	user, err := t.userKey(ctx, uc)
	if err != nil {
		return nil, err
	}
	rows, err := t.db.QueryContext(ctx, `SELECT serial, kgc, partial_key, statement FROM own_keys WHERE uc = ? ORDER BY serial DESC`, uc)
	if err != nil {
		return nil, fmt.Errorf("own keys of utility %v: %w", uc, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var serial uint32
		var kgc, box, signed []byte
		if err := rows.Scan(&serial, &kgc, &box, &signed); err != nil {
			return nil, fmt.Errorf("own keys of utility %v: %w", uc, err)
		}
		raw, err := t.seal.Open(partialKeyContext(uc, serial), box)
		if err != nil {
			return nil, err
		}
		o, err := newOpener(user, kgc, raw, signed)
		if err != nil {
			return nil, fmt.Errorf("own key %d of utility %v: %w", serial, uc, err)
		}
		own = append(own, o)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("own keys of utility %v: %w", uc, err)
	}
	if own == nil {
		return nil, fmt.Errorf("%w: utility %v has not enrolled the TTP's key yet", wire.Unenrolled, uc)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.openers[uc] = own
	return own, nil
}

func newOpener(user *clpke.UserKey, kgc, partialKey, signed []byte) (*opener, error) {
	point, err := clpke.ParsePoint(kgc)
	if err != nil {
		return nil, err
	}
	signer, err := point.ECDSA()
	if err != nil {
		return nil, err
	}
	st, err := clpke.VerifyStatement(signed, signer)
	if err != nil {
		return nil, err
	}
	partial, err := clpke.ParsePartialKey(partialKey)
	if err != nil {
		return nil, err
	}
	o := &opener{statement: clpke.SignedStatement(signed).Hash()}
	o.key, err = clpke.NewPrivateKey(user, partial, st.Identity(), st.Master)
	return o, err
}

func (t *TTP) handleExchanges(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	requests, err := wire.ParseExchanges(body)
	if err != nil {
		return nil, err
	}
	release, err := t.turns.take(ctx, uc)
	if err != nil {
		return nil, err
	}
	defer release()
	own, err := t.ownKeys(ctx, uc)
	if err != nil {
		return nil, err
	}
	answers := make([]wire.ExchangeAnswer, len(requests))
	for i, r := range requests {
		m := wattveil.Meter{UC: uc, Pseudonym: r.Pseudonym}
		var err error
		if r.Type == wire.TypeM1 {
			answers[i].M2, err = t.offer(ctx, own, m, r.Exchange)
		} else {
			err = t.confirm(ctx, m, r.Exchange)
		}
		answers[i].Verdict = t.exchangeVerdict(m, r.Type, err)
	}
	return wire.AppendExchangeAnswers(nil, answers), nil
}

// exchangeVerdict turns the outcome of an M1 or M3 into the byte that crosses.
func (t *TTP) exchangeVerdict(m wattveil.Meter, what wire.Type, err error) wire.Verdict {
	if err == nil {
		return wire.Durable
	}
	var class wire.Class
	if !errors.As(err, &class) {
		t.cfg.Log.Error("exchange not done", "meter", m, "message", what.String(), "error", err)
		return wire.Later
	}
	t.counts.Add(class)
	t.cfg.Log.Warn("exchange refused", "meter", m, "message", what.String(), "class", string(class))
	switch class {
	case wire.Unenrolled, wire.Limited:
		return wire.Later
	case wire.NoKey:
		return wire.Rekey
	default:
		return wire.Never
	}
}

// offer answers an M1 (spec/protocol.md section 5.3). M2 is durable before it
// is returned, so that the same M1 always gets the same M2.
func (t *TTP) offer(ctx context.Context, own []*opener, m wattveil.Meter, x wire.Exchange) ([]byte, error) {
	var m2 []byte
	err := registry.Tx(ctx, t.db, func(tx *sql.Tx) error {
		statement, err := t.meterStatement(ctx, tx, m)
		if err != nil {
			return err
		}
		hash := sha256.Sum256(x.Body)
		found, err := registry.Find(tx.QueryRowContext(ctx,
			`SELECT m2 FROM sessions WHERE uc = ? AND an_id = ? AND low = ? AND m1 = ? AND state <> ? AND spent = 0`,
			m.UC, int64(m.Pseudonym), x.Low, hash[:], stateClosed), &m2)
		if err != nil || found {
			return err
		}
		key, offer, err := openOffer(own, x)
		if err != nil {
			return err
		}
		if err := t.admit(ctx, tx, m, offer); err != nil {
			return err
		}
		made, err := t.answerOffer(ctx, tx, key, m, statement, offer, x.Body)
		if err != nil {
			return err
		}
		m2 = made.m2
		return t.keepSession(ctx, tx, m, offer, hash, made)
	})
	return m2, err
}

// meterStatement is the statement in force of a meter's key.
func (t *TTP) meterStatement(ctx context.Context, tx *sql.Tx, m wattveil.Meter) (kept clpke.SignedStatement, err error) {
	found, err := registry.Find(tx.QueryRowContext(ctx,
		`SELECT statement FROM statements WHERE uc = ? AND an_id = ? ORDER BY serial DESC LIMIT 1`,
		m.UC, int64(m.Pseudonym)), (*[]byte)(&kept))
	if err != nil {
		return nil, fmt.Errorf("statement of %v: %w", m, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: %v", wire.Unenrolled, m)
	}
	return kept, nil
}

// openOffer decrypts an M1 and tells by which key.
func openOffer(own []*opener, x wire.Exchange) (*opener, wire.Offer, error) {
	for _, o := range own {
		plain, err := clpkeopen.Open(o.key, wire.LabelM1, x.Body)
		if err != nil {
			continue
		}
		offer, err := wire.ParseOffer(plain)
		if err != nil {
			return nil, wire.Offer{}, err
		}
		if offer.Epoch.Low() != x.Low || !slices.Contains(offer.Suites, wire.SuiteAES128GCM) {
			return nil, wire.Offer{}, fmt.Errorf("%w: M1 header or suites", wire.Malformed)
		}
		return o, offer, nil
	}
	return nil, wire.Offer{}, fmt.Errorf("%w: M1", wire.Forged)
}

// admit checks epoch and rate of an exchange.
func (t *TTP) admit(ctx context.Context, tx *sql.Tx, m wattveil.Meter, offer wire.Offer) error {
	var last wattveil.Epoch
	var recent int
	err := tx.QueryRowContext(ctx, `
		SELECT last_epoch,
			(SELECT count(*) FROM exchanges WHERE uc = ?1 AND an_id = ?2 AND at > ?3)
		FROM meters WHERE uc = ?1 AND an_id = ?2`,
		m.UC, int64(m.Pseudonym), t.cfg.Now().Add(-limitedOver).Unix(),
	).Scan(&last, &recent)
	if err != nil {
		return fmt.Errorf("admit exchange of %v: %w", m, err)
	}
	if offer.Epoch <= last {
		return fmt.Errorf("%w: %d is not above %d", wire.EpochUsed, offer.Epoch, last)
	}
	if recent >= t.cfg.MaxExchanges {
		return fmt.Errorf("%w: %d in a day", wire.Limited, recent)
	}
	return nil
}

// madeSession is what answering an offer makes.
type madeSession struct {
	m2         []byte
	keys       *wire.SessionKeys
	transcript [32]byte
	series     wattveil.Series
	chain      wattveil.Epoch
}

// answerOffer draws S and f, agrees on the keys and encrypts M2. f is gone
// when it returns.
func (t *TTP) answerOffer(ctx context.Context, tx *sql.Tx, own *opener, m wattveil.Meter, signed clpke.SignedStatement, offer wire.Offer, m1 []byte) (*madeSession, error) {
	signer, err := t.kgcKey(ctx, m.UC)
	if err != nil {
		return nil, err
	}
	st, err := clpke.VerifyStatement(signed, signer)
	if err != nil {
		return nil, fmt.Errorf("statement of %v: %w", m, err)
	}
	chain, chainKey, err := t.chain(ctx, tx, m, offer)
	if err != nil {
		return nil, err
	}
	f, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw f: %w", err)
	}
	shared, err := wire.SharedX(f, offer.E)
	if err != nil {
		return nil, err
	}
	answer := wire.Answer{
		N: offer.N, F: wire.Ephemeral(f), Epoch: offer.Epoch, Chain: chain, Suite: wire.SuiteAES128GCM,
		Lifetime: uint32(t.cfg.EpochLifetime / time.Second),
	}
	_, _ = rand.Read(answer.S[:]) // never fails
	recipient, err := st.PublicKey().Prepare()
	if err != nil {
		return nil, fmt.Errorf("key of %v: %w", m, err)
	}
	ciphertext, err := recipient.Encrypt(wire.LabelM2, answer.Append(nil))
	if err != nil {
		return nil, fmt.Errorf("encrypt M2 to %v: %w", m, err)
	}
	made := &madeSession{series: wattveil.Series(st.Serial), chain: chain}
	made.transcript = wire.Transcript{
		Suites: offer.Suites, Suite: answer.Suite, Meter: m, Master: st.Master,
		MeterStatement: signed.Hash(), TTPStatement: own.statement,
		M1: m1, M2: ciphertext, Epoch: offer.Epoch, Lifetime: answer.Lifetime, Chain: chain,
	}.Sum()
	made.keys, err = wire.DeriveKeys(offer.N, answer.S, shared, chainKey, made.transcript)
	if err != nil {
		return nil, err
	}
	made.m2 = append(ciphertext, wire.Confirmation(made.keys.ConfirmT, made.transcript)...)
	return made, nil
}

// chain is the newest epoch that is active here and whose chain key the meter
// says it holds, with that key.
func (t *TTP) chain(ctx context.Context, tx *sql.Tx, m wattveil.Meter, offer wire.Offer) (epoch wattveil.Epoch, key [32]byte, err error) {
	var box []byte
	found, err := registry.Find(tx.QueryRowContext(ctx,
		`SELECT epoch, keys FROM sessions WHERE uc = ? AND an_id = ? AND state = ? AND epoch IN (?, ?) ORDER BY epoch DESC LIMIT 1`,
		m.UC, int64(m.Pseudonym), stateActive, offer.NewestChain, offer.OlderChain), &epoch, &box)
	if err != nil || !found {
		return 0, key, err
	}
	keys, err := t.openKeys(m, epoch, box)
	if err != nil {
		return 0, key, err
	}
	return epoch, keys.Chain, nil
}

// keepSession stores a pending epoch and makes room for it: at most eight live
// epochs of a meter, four of them pending, no two with one low byte. A meter
// that starts again and again before it gets an answer leaves a pending epoch
// each time, and only the newest is of use to it.
func (t *TTP) keepSession(ctx context.Context, tx *sql.Tx, m wattveil.Meter, offer wire.Offer, m1 [32]byte, made *madeSession) error {
	live, err := liveEpochs(ctx, tx, m)
	if err != nil {
		return fmt.Errorf("live epochs of %v: %w", m, err)
	}
	kept, pending := 0, 0
	for _, e := range live {
		room := kept < maxLive-1 && (!e.pending || pending < maxPending-1)
		if room && e.epoch.Low() != offer.Epoch.Low() {
			kept++
			if e.pending {
				pending++
			}
			continue
		}
		if err := t.destroy(ctx, tx, m, e.epoch); err != nil {
			return err
		}
	}
	now := t.cfg.Now().Unix()
	_, err = tx.ExecContext(ctx, `
		INSERT INTO sessions (uc, an_id, epoch, low, state, series, chain, pinned, m1, m2, transcript, keys, created, quiet)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.UC, int64(m.Pseudonym), offer.Epoch, offer.Epoch.Low(), statePending, made.series, made.chain, offer.Pinned,
		m1[:], made.m2, made.transcript[:], t.seal.Seal(keysContext(m, offer.Epoch), made.keys.Bytes()),
		now, now+int64(t.cfg.EpochLifetime/time.Second))
	if err != nil {
		return fmt.Errorf("keep epoch %d of %v: %w", offer.Epoch, m, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO exchanges (uc, an_id, epoch, at) VALUES (?, ?, ?, ?)`,
		m.UC, int64(m.Pseudonym), offer.Epoch, now)
	if err != nil {
		return fmt.Errorf("count exchange of %v: %w", m, err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE meters SET last_epoch = ? WHERE uc = ? AND an_id = ?`, offer.Epoch, m.UC, int64(m.Pseudonym))
	return err
}

// liveEpoch is an epoch that a meter has keys of.
type liveEpoch struct {
	epoch   wattveil.Epoch
	pending bool
}

// liveEpochs are a meter's, newest first.
func liveEpochs(ctx context.Context, tx *sql.Tx, m wattveil.Meter) (live []liveEpoch, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT epoch, state = 'pending' FROM sessions WHERE uc = ? AND an_id = ? ORDER BY epoch DESC`, m.UC, int64(m.Pseudonym))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e liveEpoch
		if err := rows.Scan(&e.epoch, &e.pending); err != nil {
			return nil, err
		}
		live = append(live, e)
	}
	return live, rows.Err()
}

// confirm checks an M3 and makes its epoch active.
func (t *TTP) confirm(ctx context.Context, m wattveil.Meter, x wire.Exchange) error {
	var epoch wattveil.Epoch
	var box, transcript []byte
	found, err := registry.Find(t.db.QueryRowContext(ctx,
		`SELECT epoch, keys, transcript FROM sessions WHERE uc = ? AND an_id = ? AND low = ? AND state <> ? AND spent = 0`,
		m.UC, int64(m.Pseudonym), x.Low, stateClosed), &epoch, &box, &transcript)
	if err != nil {
		return fmt.Errorf("session of %v: %w", m, err)
	}
	if !found {
		return fmt.Errorf("%w: epoch with low byte %d of %v", wire.NoKey, x.Low, m)
	}
	keys, err := t.openKeys(m, epoch, box)
	if err != nil {
		return err
	}
	if len(transcript) != 32 || !wire.Confirmed(keys.ConfirmM, [32]byte(transcript), x.Body) {
		return fmt.Errorf("%w: M3", wire.Forged)
	}
	return t.activate(ctx, m, epoch)
}
