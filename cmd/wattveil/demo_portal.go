package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wattveil/wattveil/internal/grid"
)

const (
	defaultPortal = "localhost:8080"
	portalStop    = 5 * time.Second
)

// portalAddress is where the portal listens; empty is nowhere.
func (d *demo) portalAddress() string {
	if d.headless && !d.given("portal-addr") {
		return ""
	}
	return d.portalAddr
}

// listenForPortal takes the portal's address before the long run.
func (d *demo) listenForPortal() (net.Listener, error) {
	at := d.portalAddress()
	if at == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listen for the portal: %w; choose another address with --portal-addr", err)
	}
	return l, nil
}

// portalURL is where browsers on this machine reach the portal. Passkeys work
// on localhost, by that name.
func portalURL(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "http://localhost:" + port
}

// openPortal serves the portal until the stop that it returns.
func openPortal(g *grid.Grid, l net.Listener) (stop func() error, err error) {
	if l == nil {
		return func() error { return nil }, nil
	}
	p, err := g.Portal(portalURL(l))
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(l) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), portalStop)
		defer cancel()
		if p.Shutdown(ctx) != nil {
			return errors.Join(p.Close(), <-done)
		}
		return <-done
	}, nil
}

// printClaims says where the portal is and with which codes one gets in.
func (d *demo) printClaims(l net.Listener, claims []grid.ClaimReport) error {
	if l == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe consumer's portal is at %s. Each meter's display shows its claim code:\n\n", portalURL(l))
	for i, c := range claims {
		if i == maxRows {
			fmt.Fprintf(&b, "… and %d more; --report has them all\n", len(claims)-maxRows)
			break
		}
		fmt.Fprintf(&b, "%-*s  %s\n", maxName, cut(c.Column), c.Code)
	}
	if _, err := fmt.Fprint(d.out, b.String()); err != nil {
		return fmt.Errorf("print the claim codes: %w", err)
	}
	return nil
}
