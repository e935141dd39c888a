package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/wattveil/wattveil/portal"
)

// portalConfig are the settings of the TTP's portal for consumers.
type portalConfig struct {
	Listen      string `koanf:"listen"`
	URL         string `koanf:"url"`
	Certificate string `koanf:"certificate"`
	Key         string `koanf:"key"`
}

func (c portalConfig) check() error {
	if c.Listen == "" {
		if c != (portalConfig{}) {
			return errors.New("portal: listen is empty, and other settings of the portal are not: name the address to listen on")
		}
		return nil
	}
	if c.URL == "" {
		return errors.New("portal.url is missing: say where consumers reach the portal, such as https://portal.example")
	}
	if (c.Certificate == "") != (c.Key == "") {
		return errors.New("portal: give both certificate and key, or neither")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return address("portal.listen", c.Listen)
	}
	if ip := net.ParseIP(host); c.Certificate == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("portal.listen %q: without certificate and key the portal speaks plain HTTP, which is for this machine alone; listen on localhost, or give both", c.Listen)
	}
	return portal.CheckURL(c.URL)
}

// startPortal serves consumers, if a listener is set.
func (o *openTTP) startPortal(s *service) error {
	c := o.cfg.Portal
	if c.Listen == "" {
		return nil
	}
	cfg := portal.Config{URL: c.URL, TTP: o.role.Consumers(), Log: s.log}
	if c.Certificate != "" {
		files := &certificateFiles{certificate: c.Certificate, key: c.Key}
		if _, err := files.get(nil); err != nil {
			return err
		}
		cfg.TLS = &tls.Config{GetCertificate: files.get, MinVersion: tls.VersionTLS12}
	}
	p, err := portal.New(cfg)
	if err != nil {
		return err
	}
	l, err := s.listen("consumers", c.Listen)
	if err != nil {
		return err
	}
	s.run(func(context.Context) error { return p.Serve(l) })
	s.onStop(func(ctx context.Context) error {
		if err := p.Shutdown(ctx); err != nil {
			return p.Close()
		}
		return nil
	})
	return nil
}

// certificateFiles are a certificate and its key, read again when they have
// changed, so that a renewal needs no restart.
type certificateFiles struct {
	certificate, key string

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed time.Time
	looked  time.Time
}

func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded != nil && time.Since(f.looked) < reloadEvery {
		return f.loaded, nil
	}
	f.looked = time.Now()
	info, err := os.Stat(f.certificate)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.changed) {
		return f.loaded, nil
	}
	var loaded tls.Certificate
	if err == nil {
		loaded, err = tls.LoadX509KeyPair(f.certificate, f.key)
	}
	switch {
	case err == nil:
		f.loaded, f.changed = &loaded, info.ModTime()
	case f.loaded == nil:
		return nil, fmt.Errorf("portal's certificate: %w", err)
	}
	return f.loaded, nil // the one before, while its files are being changed
}
