package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wattveil/wattveil/internal/config"
	"github.com/wattveil/wattveil/internal/journal"
	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/invoice"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility"
)

// role is a kind of party that this command runs.
type role struct {
	name     string   // as in commands, environment and certificates
	what     string   // for sentences
	files    []string // of a folder that init has made: none is ever made again
	settings []config.Setting
}

func (r *role) file() string { return r.name + ".toml" }

// prefix begins the names of the role's environment variables.
func (r *role) prefix() string { return "WATTVEIL_" + strings.ToUpper(r.name) + "_" }

// dirVariable names the environment variable that stands for --dir.
func (r *role) dirVariable() string { return r.prefix() + "DIR" }

// The settings that all roles have.
func commonSettings(metrics string) []config.Setting {
	return []config.Setting{
		{Key: "metrics", Default: metrics, Help: "loopback address of /healthz, /readyz and /metrics; empty for none"},
		{Key: "shutdown", Default: "30s", Help: "how long work under way may take after SIGTERM"},
		{Key: "log.level", Default: "info", Help: "least severe lines to log: debug, info, warn or error"},
		{Key: "log.format", Default: "text", Help: "form of the log: text or json"},
	}
}

func utilityRole() *role {
	return &role{name: peer.RoleUtility, what: "utility", files: []string{
		"authority.crt", "authority.key", "server.crt", "server.key", "seal.key", "kgc.key", "master.key", "utility.db",
	}, settings: append([]config.Setting{
		{Key: "name", Help: "the organisation, as in its certificates; fixed by init"},
		{Key: "listen", Default: "127.0.0.1:8440", Help: "address to serve collectors on"},
		{Key: "url", Default: "https://127.0.0.1:8440", Help: "where collectors reach this server, for their credentials"},
		{Key: "interval", Default: "15m", Help: "time between two posts of a collector, the same as in the collectors' files"},
		{Key: "pool_window", Default: "30s", Help: "how long to wait for all collectors of an interval"},
		{Key: "enrol_every", Default: "24h", Help: "how often statements of new meters go to the TTPs; longer tells them less"},
		{Key: "bill_page", Help: "page that checks bills, for the code on invoices, such as https://portal.example/check"},
	}, commonSettings("127.0.0.1:9440")...)}
}

func ttpRole() *role {
	return &role{name: peer.RoleTTP, what: "TTP", files: []string{
		"authority.crt", "authority.key", "server.crt", "server.key", "seal.key", "root.key", "ttp.db", "readings", "log",
	}, settings: append([]config.Setting{
		{Key: "name", Help: "the organisation, as in its certificates; fixed by init"},
		{Key: "listen", Default: "127.0.0.1:8450", Help: "address to serve utilities on"},
		{Key: "url", Default: "https://127.0.0.1:8450", Help: "where utilities reach this server, for their invitations"},
		{Key: "epoch_lifetime", Default: "168h", Help: "how long a meter uses its session keys"},
		{Key: "max_exchanges", Default: "24", Help: "key exchanges of a meter in a day"},
		{Key: "portal.listen", Help: "address to serve the consumers' portal on; empty for none"},
		{Key: "portal.url", Help: "where consumers reach the portal: https://HOST, or http://localhost:PORT"},
		{Key: "portal.certificate", Help: "file with the portal's certificate chain (PEM); empty if a proxy on this machine has it"},
		{Key: "portal.key", Help: "file with the certificate's private key (PEM)"},
		{Key: "bill_key_overlap", Default: "168h", Help: "from publishing a new bill key to signing with it"},
	}, commonSettings("127.0.0.1:9450")...)}
}

func collectorRole() *role {
	return &role{name: peer.RoleCollector, what: "collector", files: []string{"server.crt", "server.key", utilityContact}, settings: append([]config.Setting{
		{Key: "listen", Default: "127.0.0.1:1883", Help: "address to serve meters on (MQTT 5)"},
		{Key: "tls", Default: "false", Help: "true to serve meters over TLS (mqtts://), with the certificate that the utility gave"},
		{Key: "interval", Default: "15m", Help: "time between two posts to the utility, the same as in the utility's file"},
		{Key: "queue.max_frames", Default: "1000000", Help: "frames to keep while the utility is away; meters keep the rest"},
		{Key: "queue.max_bytes", Default: "268435456", Help: "bytes of frames to keep"},
		{Key: "queue.max_quarantine", Default: "1000", Help: "refused frames to keep for looking at"},
	}, commonSettings("127.0.0.1:9460")...)}
}

// common are the settings that all roles have.
type common struct {
	Metrics  string        `koanf:"metrics"`
	Shutdown time.Duration `koanf:"shutdown"`
	Log      struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`
}

func (c common) check() error {
	if c.Metrics != "" {
		if err := monitor.CheckAddress(c.Metrics); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	if _, err := journal.New(io.Discard, journal.Options{Format: c.Log.Format, Level: c.Log.Level}); err != nil {
		return err
	}
	return atLeast("shutdown", c.Shutdown, 0)
}

type utilityConfig struct {
	common     `koanf:",squash"`
	Name       string        `koanf:"name"`
	Listen     string        `koanf:"listen"`
	URL        string        `koanf:"url"`
	Interval   time.Duration `koanf:"interval"`
	PoolWindow time.Duration `koanf:"pool_window"`
	EnrolEvery time.Duration `koanf:"enrol_every"`
	BillPage   string        `koanf:"bill_page"`
}

func (c utilityConfig) check() error {
	if c.BillPage != "" {
		if err := invoice.CheckURL(c.BillPage); err != nil {
			return fmt.Errorf("bill_page: %w", err)
		}
	}
	return errors.Join(c.common.check(), address("listen", c.Listen), peer.ValidateURL(c.URL),
		atLeast("interval", c.Interval, time.Second), atLeast("pool_window", c.PoolWindow, time.Millisecond),
		atLeast("enrol_every", c.EnrolEvery, 0))
}

type ttpConfig struct {
	common        `koanf:",squash"`
	Name          string        `koanf:"name"`
	Listen        string        `koanf:"listen"`
	URL           string        `koanf:"url"`
	EpochLifetime time.Duration `koanf:"epoch_lifetime"`
	MaxExchanges  int           `koanf:"max_exchanges"`
	Portal        portalConfig  `koanf:"portal"`
	KeyOverlap    time.Duration `koanf:"bill_key_overlap"`
}

func (c ttpConfig) check() error {
	err := errors.Join(c.common.check(), address("listen", c.Listen), peer.ValidateURL(c.URL),
		atLeast("epoch_lifetime", c.EpochLifetime, time.Hour), atLeast("bill_key_overlap", c.KeyOverlap, time.Hour))
	if c.EpochLifetime > 400*24*time.Hour {
		err = errors.Join(err, fmt.Errorf("epoch_lifetime %v: want 400 days or less", c.EpochLifetime))
	}
	if c.MaxExchanges < 1 {
		err = errors.Join(err, fmt.Errorf("max_exchanges %d: want 1 or more", c.MaxExchanges))
	}
	return errors.Join(err, c.Portal.check())
}

type collectorConfig struct {
	common   `koanf:",squash"`
	Listen   string        `koanf:"listen"`
	TLS      bool          `koanf:"tls"`
	Interval time.Duration `koanf:"interval"`
	Queue    struct {
		MaxFrames     int   `koanf:"max_frames"`
		MaxBytes      int64 `koanf:"max_bytes"`
		MaxQuarantine int   `koanf:"max_quarantine"`
	} `koanf:"queue"`
}

func (c collectorConfig) check() error {
	err := errors.Join(c.common.check(), address("listen", c.Listen), atLeast("interval", c.Interval, time.Second))
	if c.Queue.MaxFrames < 1 || c.Queue.MaxBytes < 1 || c.Queue.MaxQuarantine < 1 {
		err = errors.Join(err, errors.New("queue: want limits of 1 or more"))
	}
	return err
}

func address(key, value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("%s %q: want HOST:PORT", key, value)
	}
	return nil
}

func atLeast(key string, have, least time.Duration) error {
	if have < least {
		return fmt.Errorf("%s %v: want %v or more", key, have, least)
	}
	return nil
}

// party is a party's folder as the command line names it.
type party struct {
	*role
	dir   string
	names utility.Names // a utility's; random if nil, as they are but in tests
}

// dirFlag adds --dir to a group of commands.
func (p *party) dirFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&p.dir, "dir", os.Getenv(p.dirVariable()),
		fmt.Sprintf("the %s's `folder` (environment: %s)", p.what, p.dirVariable()))
	if err := cmd.MarkPersistentFlagDirname("dir"); err != nil {
		panic(err) // the flag has just been added
	}
}

// settingFlags are the flags of settings, by key.
type settingFlags map[string]*pflag.Flag

// settingFlags adds a flag for each setting but those named.
func (p *party) settingFlags(cmd *cobra.Command, but ...string) settingFlags {
	flags := make(settingFlags)
	for _, s := range p.settings {
		if slices.Contains(but, s.Key) {
			continue
		}
		help := s.Help
		if s.Default != "" {
			help += fmt.Sprintf(" (default: as in %s, or %s)", p.file(), s.Default)
		}
		cmd.Flags().String(s.Flag(), "", help)
		flags[s.Key] = cmd.Flags().Lookup(s.Flag())
	}
	return flags
}

// given are the settings on the command line.
func (f settingFlags) given() map[string]string {
	values := make(map[string]string)
	for key, flag := range f {
		if flag.Changed {
			values[key] = flag.Value.String()
		}
	}
	return values
}

// path is the path of a file in the folder.
func (p *party) path(name string) string { return filepath.Join(p.dir, name) }

// needDir fails if no folder is named.
func (p *party) needDir() error {
	if p.dir == "" {
		return misusef("name the %s's folder with --dir or in %s", p.what, p.dirVariable())
	}
	return nil
}

// checked is a configuration that can tell what is wrong with it.
type checked interface{ check() error }

// load reads the settings of an initialised folder.
func (p *party) load(into checked, flags map[string]string) error {
	if err := p.needDir(); err != nil {
		return err
	}
	if _, err := os.Stat(p.path(p.file())); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is no %s's folder: it has no %s; make one with: wattveil %s init --dir %s", p.dir, p.what, p.file(), p.name, p.dir)
	}
	layers := config.Layers{
		Settings: p.settings, File: p.path(p.file()), Prefix: p.prefix(), Environ: os.Environ(),
		Reserved: []string{p.dirVariable()}, Flags: flags,
	}
	if err := layers.Load(into); err != nil {
		return err
	}
	if err := into.check(); err != nil {
		return fmt.Errorf("settings of %s: %w", p.dir, err)
	}
	return nil
}
