package utility

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// trustee is a TTP that the utility uses.
type trustee struct {
	org  string
	conn TTP
	root *[32]byte // fingerprint of its root key, if it is known beforehand
	*billDesk
}

// billDesk is what is one for all connections to a TTP.
type billDesk struct {
	// turn is of what must go one after the other, requests to the TTP in between:
	// keeping its bill keys, and cosigning its checkpoints. Who has it fills it.
	turn chan struct{}

	mu      sync.Mutex            // held over no request
	witness *transparency.Witness // of its bill log, under mu; nil before it is first used
}

func newBillDesk() *billDesk { return &billDesk{turn: make(chan struct{}, 1)} }

// take waits for the turn. The caller calls release at the end.
func (d *billDesk) take(ctx context.Context) (release func(), err error) {
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another billing run: %w", ctx.Err())
	}
}

// AddTTP connects the utility to a TTP, or to one that it has in another way.
// A meter belongs to one TTP from the start. root is the fingerprint of the
// TTP's root key as its operator told it; nil trusts the first enrolment.
func (u *Utility) AddTTP(name peer.Name, conn TTP, root *[32]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	bills := newBillDesk()
	if known := u.trustees[name.Org]; known != nil {
		bills = known.billDesk
	}
	u.trustees[name.Org] = &trustee{org: name.Org, conn: conn, root: root, billDesk: bills}
}

// rootFingerprint is the fingerprint of a root key that came as a point.
func rootFingerprint(point []byte) ([32]byte, error) {
	p, err := clpke.ParsePoint(point)
	if err != nil {
		return [32]byte{}, fmt.Errorf("root key: %w", err)
	}
	key, err := p.ECDSA()
	if err != nil {
		return [32]byte{}, fmt.Errorf("root key: %w", err)
	}
	return clpke.RootFingerprint(key), nil
}

// TTPs are the organisations of the TTPs that the utility is connected to, in
// the order of their names.
func (u *Utility) TTPs() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.trustees))
}

// trustee is the TTP of an organisation; with an empty name the only one.
func (u *Utility) trustee(org string) (*trustee, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if org != "" {
		if t := u.trustees[org]; t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("%w: the utility has no TTP %q", wire.Unavailable, org)
	}
	switch len(u.trustees) {
	case 0:
		return nil, fmt.Errorf("%w: the utility has no TTP yet; add one as a peer", wire.Unavailable)
	case 1:
		for _, t := range u.trustees {
			return t, nil
		}
	}
	return nil, fmt.Errorf("the utility has several TTPs (%v): name one", slices.Sorted(maps.Keys(u.trustees)))
}

// eachTTP does something with every TTP, at the same time, so that one that is
// away delays the others as little as possible.
func (u *Utility) eachTTP(do func(*trustee) error) error {
	u.mu.Lock()
	all := slices.Collect(maps.Values(u.trustees))
	u.mu.Unlock()
	failures := make([]error, len(all))
	var running sync.WaitGroup
	for i, t := range all {
		running.Go(func() { failures[i] = do(t) })
	}
	running.Wait()
	return errors.Join(failures...)
}

// trusteeKeys is what the utility knows of a TTP.
type trusteeKeys struct {
	number        wattveil.UCNumber
	serial        uint32
	rootKey       [wire.PointSize]byte
	statement     []byte
	rootStatement []byte
}

// keysOf is what the utility has from the enrolment of a TTP.
func (u *Utility) keysOf(ctx context.Context, t *trustee) (*trusteeKeys, error) {
	var k trusteeKeys
	var root []byte
	found, err := registry.Find(u.db.QueryRowContext(ctx,
		`SELECT uc_number, serial, root_key, statement, root_statement FROM ttps WHERE name = ?`, t.org),
		&k.number, &k.serial, &root, &k.statement, &k.rootStatement)
	if err != nil {
		return nil, fmt.Errorf("keys of TTP %s: %w", t.org, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: TTP %s is not enrolled yet", wire.Unavailable, t.org)
	}
	copy(k.rootKey[:], root)
	return &k, nil
}

// trusteeOf is the TTP that a meter belongs to.
func (u *Utility) trusteeOf(ctx context.Context, id wattveil.MeterID) (*trustee, error) {
	var org string
	if err := u.db.QueryRowContext(ctx, `SELECT ttp FROM meters WHERE id_sm = ?`, int64(id)).Scan(&org); err != nil {
		return nil, fmt.Errorf("TTP of meter %v: %w", id, err)
	}
	return u.trustee(org)
}
