package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/utility/api"
)

// openUtility is a utility in its folder.
type openUtility struct {
	*locked
	cfg   utilityConfig
	role  *utility.Utility
	peers *contacts
	api   api.Config
}

// openUtility opens the folder of a utility for this process. m is nil unless
// it serves.
func (p *party) openUtility(ctx context.Context, cfg utilityConfig, log *slog.Logger, m *monitor.Monitor) (_ *openUtility, err error) {
	l, err := p.lock(cfg.Name)
	if err != nil {
		return nil, err
	}
	o := &openUtility{locked: l, cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	c := utility.Config{
		Dir: p.dir, Org: cfg.Name, Authority: l.authority, Identity: l.identity, Log: log,
		Interval: cfg.Interval, PoolWindow: cfg.PoolWindow, EnrolEvery: cfg.EnrolEvery, Backoff: peer.Backoff,
		Names: p.names,
	}
	if m != nil {
		c.Refused, c.RoundTook = m.Refused, m.BatchTook
	}
	if o.role, err = utility.Open(ctx, c); err != nil {
		return nil, err
	}
	o.peers = &contacts{dir: p.path("ttps"), identity: l.identity, use: o.role.AddTTP}
	if err := o.peers.connect(); err != nil {
		return nil, err
	}
	o.api = api.Config{
		Utility: o.role, Peers: o.peers, Self: l.identity, Server: p.contact(l, cfg.URL),
	}
	return o, nil
}

func (o *openUtility) close() error {
	var err error
	if o.peers != nil {
		o.peers.close()
	}
	if o.role != nil {
		err = o.role.Close()
	}
	return errors.Join(err, o.locked.Close())
}

// utilityClient gives the operator's client of the folder.
func (p *party) utilityClient(ctx context.Context) (*operator.Client, func() error, error) {
	var cfg utilityConfig
	if err := p.load(&cfg, nil); err != nil {
		return nil, nil, err
	}
	return p.connect(ctx, func() (*operator.Client, func() error, error) {
		o, err := p.openUtility(ctx, cfg, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			return nil, nil, err
		}
		return operator.Local(api.New(o.api)), o.close, nil
	})
}

// contacts keeps the TTPs of a utility as files, one for each, and connects
// the utility to them.
type contacts struct {
	dir      string
	identity *peer.Identity
	use      func(peer.Name, utility.TTP, *[32]byte)

	mu    sync.Mutex
	conns map[string]*peer.Client // by organisation
}

const contactSuffix = ".json"

// Add keeps a contact, or what is new about a known one.
func (c *contacts) Add(contact peer.Contact) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("keep TTP: %w", err)
	}
	known, err := c.List()
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Name == contact.Name && contact.Root == nil {
			contact.Root = k.Root // what its invitation said goes on to hold
		}
	}
	b, err := contact.Encode()
	if err != nil {
		return fmt.Errorf("keep TTP: %w", err)
	}
	if err := folder.WriteFile(filepath.Join(c.dir, contact.Name.Org+contactSuffix), b, 0o600); err != nil {
		return fmt.Errorf("keep TTP: %w", err)
	}
	c.connectTo(contact)
	return nil
}

// List are the contacts that are kept, by name.
func (c *contacts) List() ([]peer.Contact, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list TTPs: %w", err)
	}
	var list []peer.Contact
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), contactSuffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		b, err := readSmall("TTP", path)
		if err != nil {
			return nil, err
		}
		contact, err := peer.ParseContact(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, contact)
	}
	return list, nil
}

func (c *contacts) connect() error {
	list, err := c.List()
	if err != nil {
		return err
	}
	for _, contact := range list {
		c.connectTo(contact)
	}
	return nil
}

func (c *contacts) connectTo(contact peer.Contact) {
	trust := peer.NewTrust()
	trust.Pin(contact.Name.Org, contact.Name.Role, contact.Authorities...)
	conn := peer.NewClient(peer.ClientConfig{Identity: c.identity, Trust: trust, Server: contact.Name, URL: strings.TrimSuffix(contact.URL, "/")})
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.conns[contact.Name.Org]; before != nil {
		before.Close()
	}
	if c.conns == nil {
		c.conns = make(map[string]*peer.Client)
	}
	c.conns[contact.Name.Org] = conn
	c.use(contact.Name, conn, contact.Root)
}

func (c *contacts) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}
