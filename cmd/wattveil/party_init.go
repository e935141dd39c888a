package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/config"
	"github.com/wattveil/wattveil/peer"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/utility"
)

// newInit makes the folder of a utility or a TTP.
func (p *party) newInit() *cobra.Command {
	var org string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "init --name ORG",
		Short: fmt.Sprintf("Make a %s's folder with its keys and settings", p.what),
		Long: fmt.Sprintf(`Make a %s's folder: the organisation's own certificate authority, the server's
key and certificate, all other keys, and %s with the settings.

--name is the organisation in certificates: a-z, 0-9, dot and hyphen. --host
names what the server is reached by; it goes into the certificate.

The folder belongs to the user who makes it, and nobody else can enter it. Keep
a copy of it in a safe place.`, p.what, p.file()),
		Example: fmt.Sprintf("  wattveil %[1]s init --dir /var/lib/wattveil/%[1]s --name example --host %[1]s.example --listen :8443 --url https://%[1]s.example:8443", p.name),
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&org, "name", "", "the organisation's `name`")
	cmd.Flags().StringSliceVar(&hosts, "host", []string{"127.0.0.1", "localhost"}, "DNS `names` or IP addresses of the server")
	flags := p.settingFlags(cmd, "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		name := peer.Name{Org: org, Role: p.name}
		values := flags.given()
		values["name"] = org
		if err := errors.Join(checkOrg(name), checkHosts(hosts), p.checkValues(values)); err != nil {
			return misuse(err.Error())
		}
		if err := p.initialise(values, func(dir string) error { return p.makeKeys(cmd.Context(), dir, name, hosts) }); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "made %v in %s: settings are in %s, the authority's certificate for other parties in authority.crt\n",
			name, p.dir, p.file())
		return nil
	}
	return cmd
}

func checkOrg(name peer.Name) error {
	if name.Org == "" {
		return misuse("--name is missing: name the organisation, such as example-energy")
	}
	if err := name.Validate(); err != nil {
		return misusef("--name: %v", err)
	}
	return nil
}

func checkHosts(hosts []string) error {
	if len(hosts) == 0 {
		return misuse("--host: want at least one")
	}
	for _, h := range hosts {
		if net.ParseIP(h) == nil && !isHostName(h) {
			return misusef("--host %q: want a DNS name or an IP address", h)
		}
	}
	return nil
}

// hostName is a DNS name as a certificate can hold it.
var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func isHostName(h string) bool { return len(h) <= 253 && hostName.MatchString(h) }

// checkValues refuses settings that serve would refuse.
func (p *party) checkValues(values map[string]string) error {
	into := map[string]checked{
		peer.RoleUtility: new(utilityConfig), peer.RoleTTP: new(ttpConfig), peer.RoleCollector: new(collectorConfig),
	}[p.name]
	if err := (config.Layers{Settings: p.settings, Flags: values}).Load(into); err != nil {
		return err
	}
	return into.check()
}

// makeKeys makes the authority and the server's identity, and has the role make
// what is its own.
func (p *party) makeKeys(ctx context.Context, dir string, name peer.Name, hosts []string) error {
	now := time.Now()
	authority, err := peer.NewAuthority(name.Org, now)
	if err != nil {
		return err
	}
	id, err := peer.NewIdentity(authority, name, hosts, now)
	if err != nil {
		return err
	}
	if err := errors.Join(authority.Save(dir), id.Save(dir, serverIdentity)); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	if p.name == peer.RoleUtility {
		u, err := utility.Open(ctx, utility.Config{Dir: dir, Org: name.Org, Authority: authority, Identity: id, Log: quiet})
		if err != nil {
			return err
		}
		return u.Close()
	}
	store, err := readingspebble.Open(filepath.Join(dir, "readings"), readingspebble.Options{Logger: quiet})
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	t, err := ttp.Open(ctx, ttp.Config{Dir: dir, Name: name.Org, Authority: authority, Identity: id, Log: quiet})
	if err != nil {
		return err
	}
	return t.Close()
}
