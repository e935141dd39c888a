package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/peer"
)

func (p *party) newCollectorPeer() *cobra.Command {
	cmd := group("peer", "Pin the utility")
	cmd.AddCommand(p.newCollectorPeerAdd())
	return cmd
}

func (p *party) newCollectorPeerAdd() *cobra.Command {
	var ca, at string
	cmd := &cobra.Command{
		Use:   "add [--ca FILE] [--url URL]",
		Short: "Pin other authorities of the utility, or its new address",
		Long: `Pin the authorities of the collector's utility that are in a file, in place of
those before, or give the utility's new address. The file holds what "wattveil
utility authority" prints: two certificates while the utility goes over to a new
authority. A collector that runs takes them within seconds, its address at the
next start.`,
		Example: "  wattveil collector peer add --ca both.crt --dir north",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&ca, "ca", "", "`file` with the certificates of the utility's authorities")
	cmd.Flags().StringVar(&at, "url", "", "`address` of the utility, https://HOST:PORT")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := p.needOwn(); err != nil {
			return err
		}
		contact, _, err := p.readUtility()
		if err != nil {
			return err
		}
		if ca == "" && at == "" {
			return misuse("give --ca or --url, or both")
		}
		if ca != "" {
			if contact.Authorities, err = readAuthorities(ca); err != nil {
				return err
			}
		}
		if at != "" {
			contact.URL = at
		}
		if err := contact.Validate(); err != nil {
			return err
		}
		b, err := contact.Encode()
		if err != nil {
			return err
		}
		if err := folder.WriteFile(p.path(utilityContact), b, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%v is pinned by %d certificates at %s\n", contact.Name, len(contact.Authorities), contact.URL)
		return nil
	}
	return cmd
}

// readUtility reads the file with whom the collector posts to.
func (p *party) readUtility() (peer.Contact, []byte, error) {
	raw, err := readSmall("utility", p.path(utilityContact))
	if err != nil {
		return peer.Contact{}, nil, err
	}
	contact, err := peer.ParseContact(raw)
	if err != nil {
		return peer.Contact{}, nil, fmt.Errorf("%s: %w", p.path(utilityContact), err)
	}
	return contact, raw, nil
}

// pinned keeps a collector's trust as its file says, so that other authorities
// need no restart.
type pinned struct {
	party *party
	trust *peer.Trust
	log   *slog.Logger
	now   []byte // the file that is in force
	last  string // the last failure, which is logged once
}

// loop looks for another file every so often, until ctx ends.
func (f *pinned) loop(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.reload()
		}
	}
}

func (f *pinned) reload() {
	contact, raw, err := f.party.readUtility()
	switch {
	case err != nil && err.Error() != f.last:
		f.last = err.Error()
		f.log.Error("the utility's file is not usable, the present one stays in force", "error", err)
	case err == nil:
		f.last = ""
		if !bytes.Equal(raw, f.now) {
			f.now = raw
			f.trust.Pin(contact.Name.Org, contact.Name.Role, contact.Authorities...)
			f.log.Info("authorities of the utility loaded", "certificates", len(contact.Authorities))
		}
	}
}
