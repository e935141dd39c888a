package utility

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

// Collector is what the utility knows of one of its collectors.
type Collector struct {
	Instance string
	Address  string    // mqtt:// or mqtts://HOST:PORT for meters, if known
	LastPost time.Time // since the start; zero if there was none
}

// collectorState is a collector that may post.
type collectorState struct {
	key      *[sha256.Size]byte // of its certificates; nil allows any
	address  string
	lastPost time.Time
}

func keyHash(cert *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// AddCollector makes a collector known and issues its certificate. One of the
// same name is replaced: its certificates are refused from now on.
func (u *Utility) AddCollector(ctx context.Context, instance string) (*peer.Identity, error) {
	return u.AddCollectorAt(ctx, instance, "")
}

// AddCollectorAt is AddCollector with the address for meters, which goes into
// provisioning records.
func (u *Utility) AddCollectorAt(ctx context.Context, instance, address string) (*peer.Identity, error) {
	name := peer.Name{Org: u.cfg.Org, Role: peer.RoleCollector, Instance: instance}
	id, err := peer.NewIdentity(u.cfg.Authority, name, nil, u.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("add collector: %w", err)
	}
	key := keyHash(id.Certificate())
	_, err = u.db.ExecContext(ctx,
		`INSERT INTO collectors (instance, key_hash, address) VALUES (?, ?, ?)
		ON CONFLICT (instance) DO UPDATE SET key_hash = excluded.key_hash, address = excluded.address`,
		instance, key[:], address)
	if err != nil {
		return nil, fmt.Errorf("add collector %s: %w", instance, err)
	}
	u.mu.Lock()
	u.collectors[instance] = &collectorState{key: &key, address: address}
	u.mu.Unlock()
	u.pool.expect(instance)
	return id, nil
}

// RemoveCollector refuses a collector from now on, on open connections too.
// What it holds is not lost: meters keep their readings until the TTP has
// them, and another collector takes them.
func (u *Utility) RemoveCollector(ctx context.Context, instance string) error {
	done, err := u.db.ExecContext(ctx, `DELETE FROM collectors WHERE instance = ?`, instance)
	if err != nil {
		return fmt.Errorf("remove collector %s: %w", instance, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("%w: there is no collector %q", wire.Unknown, instance)
	}
	u.mu.Lock()
	delete(u.collectors, instance)
	delete(u.answers, instance)
	delete(u.waiting, instance)
	u.mu.Unlock()
	u.pool.forget(instance)
	return nil
}

// Collectors are the collectors that may post, in the order of their names.
func (u *Utility) Collectors() []Collector {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make([]Collector, 0, len(u.collectors))
	for instance, c := range u.collectors {
		list = append(list, Collector{Instance: instance, Address: c.address, LastPost: c.lastPost})
	}
	slices.SortFunc(list, func(a, b Collector) int { return strings.Compare(a.Instance, b.Instance) })
	return list
}

// knowsCollector tells whether a certificate of the utility's own authority is
// of a collector that is still one, and for the key that it was given.
func (u *Utility) knowsCollector(name peer.Name, cert *x509.Certificate) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.collectors[name.Instance]
	return c != nil && (c.key == nil || *c.key == keyHash(cert))
}

// notePost keeps when a collector has posted last.
func (u *Utility) notePost(instance string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c := u.collectors[instance]; c != nil {
		c.lastPost = u.cfg.Now()
	}
}

// loadCollectors reads the collectors of the registry.
func (u *Utility) loadCollectors(ctx context.Context) ([]string, error) {
	rows, err := u.db.QueryContext(ctx, `SELECT instance, key_hash, address FROM collectors`)
	if err != nil {
		return nil, fmt.Errorf("load collectors: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var instance, address string
		var key []byte
		if err := rows.Scan(&instance, &key, &address); err != nil {
			return nil, fmt.Errorf("load collectors: %w", err)
		}
		c := &collectorState{address: address}
		if len(key) == sha256.Size {
			c.key = (*[sha256.Size]byte)(key)
		}
		u.collectors[instance] = c
		list = append(list, instance)
	}
	return list, rows.Err()
}

// handleCertificate renews a collector's certificate, for the key that it has,
// and gives the cross certificates with it (spec/protocol.md section 7.1).
func (u *Utility) handleCertificate(_ context.Context, from peer.Name, _ *http.Request, body []byte) ([]byte, error) {
	cert, err := u.cfg.Authority.IssueRequest(from, body, u.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	if !u.knowsCollector(from, cert) {
		return nil, fmt.Errorf("%w: certificate request of %v is for another key than its own", wire.Rebound, from)
	}
	answer := bytes.Clone(cert.Raw)
	for _, c := range u.cfg.Authority.Cross {
		answer = append(answer, c.Raw...)
	}
	return answer, nil
}
