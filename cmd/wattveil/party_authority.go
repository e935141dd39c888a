package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/peer"
)

// newAuthority prints what other parties pin, and changes the authority.
func (p *party) newAuthority() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "authority",
		Short: fmt.Sprintf("Print the certificate of the %s's authority, for the other parties", p.what),
		Long: fmt.Sprintf(`Print the certificate of the %s's own authority in PEM. It is public: other parties
pin it, so that they know the %[1]s's servers. It is the file authority.crt of the
folder, which nobody else can enter.

An authority is good for 20 years; "wattveil %[2]s status" says until when. To go
over to a new one, before it ends or when its key may be known to others:

  1. "authority next" prepares the new one. From then on this command prints both.
  2. Hand both to the other parties, which pin them with "peer add --ca". Nothing
     else changes, and each can do it when it has the time.
  3. When all have, end the server, run "authority switch", and start it again.
  4. Hand out what this command prints then, so that the old one is forgotten.`, p.what, p.name),
		Example: fmt.Sprintf("  wattveil %[1]s authority --dir %[1]s > example-%[1]s.crt", p.name),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.needOwn(); err != nil {
				return err
			}
			list, err := peer.AnnouncedAuthorities(p.dir)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(peer.EncodeCertificates(list))
			return err
		},
	}
	cmd.AddCommand(p.newAuthorityNext(), p.newAuthoritySwitch())
	return cmd
}

func (p *party) newAuthorityNext() *cobra.Command {
	return &cobra.Command{
		Use:   "next",
		Short: "Prepare the authority that follows",
		Long: `Prepare the authority that follows the present one. It issues nothing yet: the
other parties pin it first. The server may run meanwhile.`,
		Example: fmt.Sprintf("  wattveil %[1]s authority next --dir %[1]s\n  wattveil %[1]s authority --dir %[1]s > both.crt", p.name),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.needOwn(); err != nil {
				return err
			}
			id, err := peer.LoadIdentity(p.dir, serverIdentity)
			if err != nil {
				return err
			}
			if err := peer.PrepareAuthority(p.dir, id.Name.Org, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the next authority of %v is prepared: hand what wattveil %s authority prints to the other parties\n", id.Name, p.name)
			return nil
		},
	}
}

func (p *party) newAuthoritySwitch() *cobra.Command {
	return &cobra.Command{
		Use:   "switch",
		Short: "Put the prepared authority in the place of the present one",
		Long: `Put the prepared authority in the place of the present one and have it certify the
server. Whoever has not pinned it does not know the server any more. The server
must not run. Certificates that the one before has given to collectors stay good
until they are renewed, with the first post after the switch. Meters over TLS that
know only the one before need nothing: it certifies the new one here, and
collectors show them that.`,
		Example: fmt.Sprintf("  wattveil %[1]s authority switch --dir %[1]s", p.name),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := p.needOwn(); err != nil {
				return err
			}
			lock, err := folder.Open(p.dir)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Close()) }()
			if err := peer.SwitchAuthority(p.dir); err != nil {
				return err
			}
			authority, err := peer.LoadAuthority(p.dir)
			if err != nil {
				return err
			}
			id, err := peer.LoadIdentity(p.dir, serverIdentity)
			if err != nil {
				return err
			}
			if err := id.Recertify(authority, time.Now()); err != nil {
				return err
			}
			if err := id.Save(p.dir, serverIdentity); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%v is certified by its new authority, which is good until %s\n", id.Name, moment(&authority.Certificate.NotAfter))
			return nil
		},
	}
}

// needOwn fails if the folder is not one of this role.
func (p *party) needOwn() error {
	switch p.name {
	case peer.RoleUtility:
		return p.load(new(utilityConfig), nil)
	case peer.RoleTTP:
		return p.load(new(ttpConfig), nil)
	default:
		return p.load(new(collectorConfig), nil)
	}
}

// readAuthorities reads the certificates of an authority, and of the next one,
// that an operator names.
func readAuthorities(path string) ([]*x509.Certificate, error) {
	b, err := readSmall("--ca", path)
	if err != nil {
		return nil, err
	}
	list, err := peer.ParseAuthorities(b)
	if err != nil {
		return nil, fmt.Errorf("--ca %s: %w", path, err)
	}
	return list, nil
}
