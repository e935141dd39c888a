package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/collector/api"
	"github.com/wattveil/wattveil/collector/queue"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/peer"
)

// utilityContact is the file with whom a collector posts to.
const utilityContact = "utility.json"

func newCollector() *cobra.Command {
	p := &party{role: collectorRole()}
	cmd := group("collector", "Run a collector: the head of a meter network")
	cmd.Long = `Run a collector. It takes messages from meters over MQTT 5, keeps them on its disk,
and posts them to its utility. It cannot read them. It has one folder, made by
init from what the utility gave, with its settings in collector.toml. Settings
can also be given in the environment, as WATTVEIL_COLLECTOR_ and the key in
capitals, and as flags of serve.

status acts on the server that runs in the folder, over a socket in it, or on the
folder itself when no server runs.`
	p.dirFlag(cmd)
	cmd.AddCommand(p.newCollectorInit(), p.newCollectorServe(), p.newCollectorStatus(), p.newCollectorPeer())
	return cmd
}

func (p *party) newCollectorInit() *cobra.Command {
	var from, name string
	cmd := &cobra.Command{
		Use:   "init --from FILE",
		Short: "Make a collector's folder from what its utility gave",
		Long: `Make a collector's folder from the file that "wattveil utility collector add" has
written: the utility's address and authority, and the collector's own key and
certificate. Delete the file afterwards.`,
		Example: "  wattveil collector init --dir /var/lib/wattveil/collector --from north.json --listen :1883",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&from, "from", "", "`file` that the utility gave")
	cmd.Flags().StringVar(&name, "name", "", "the collector's `name`, to check that the file is its own")
	flags := p.settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		credentials, err := readCredentials(from)
		if err != nil {
			return err
		}
		id := credentials.Identity
		if name != "" && name != id.Name.Instance {
			return fmt.Errorf("--name %s: the file is of collector %s", name, id.Name.Instance)
		}
		values := flags.given()
		if err := p.checkValues(values); err != nil {
			return misuse(err.Error())
		}
		contact, err := credentials.Server.Encode()
		if err != nil {
			return err
		}
		err = p.initialise(values, func(dir string) error {
			return errors.Join(id.Save(dir, serverIdentity), folder.WriteFile(p.path(utilityContact), contact, 0o600))
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "made %v in %s: settings are in %s; delete %s now\n", id.Name, p.dir, p.file(), from)
		return nil
	}
	return cmd
}

func readCredentials(path string) (peer.Credentials, error) {
	if path == "" {
		return peer.Credentials{}, misuse("--from is missing: give the file that the utility wrote with wattveil utility collector add")
	}
	b, err := readSmall("--from", path)
	if err != nil {
		return peer.Credentials{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return peer.Credentials{}, fmt.Errorf("--from: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return peer.Credentials{}, fmt.Errorf("--from: %s has mode %04o, so others could read the key in it: run chmod 600 %s, or get new ones with wattveil utility collector add --replace if somebody may have",
			path, info.Mode().Perm(), path)
	}
	c, err := peer.ParseCredentials(b)
	if err != nil {
		return peer.Credentials{}, fmt.Errorf("--from %s: %w", path, err)
	}
	if own, other := c.Identity.Name, c.Server.Name; own.Role != peer.RoleCollector || own.Instance == "" ||
		other.Role != peer.RoleUtility || own.Org != other.Org {
		return peer.Credentials{}, fmt.Errorf("--from %s: it is of %v at %v, want a collector and its own utility", path, own, other)
	}
	return c, nil
}

func (p *party) newCollectorServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve meters, until SIGTERM",
		Long: `Take messages from meters, keep them on the disk before they are acknowledged, and
post them to the utility every interval. A message leaves the disk when the
utility says that it is done. The certificate is renewed at the utility before it
ends, and new files of it are taken without a restart. With tls = true meters
connect over TLS, to an address that begins with mqtts://. SIGTERM lets the post
under way finish.

/healthz answers while the process lives; /readyz while the folder can be written,
the queue answers, the utility has answered since the start, and no frame waits
longer than three intervals for it. Logs go to standard error. They hold no
network address.`,
		Example: "  wattveil collector serve --dir collector --listen :1883",
		Args:    cobra.NoArgs,
	}
	flags := p.settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var cfg collectorConfig
		if err := p.load(&cfg, flags.given()); err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		return p.serveCollector(ctx, cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// openCollector is a collector in its folder.
type openCollector struct {
	*locked
	cfg    collectorConfig
	queue  *queue.Queue
	client *peer.Client
	pinned *pinned
	role   *collector.Collector

	started time.Time // when it began to serve; zero if it does not
}

func (p *party) openCollector(cfg collectorConfig, log *slog.Logger) (_ *openCollector, err error) {
	l, err := p.lock("")
	if err != nil {
		return nil, err
	}
	o := &openCollector{locked: l, cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	contact, raw, err := p.readUtility()
	if err != nil {
		return nil, err
	}
	o.queue, err = queue.Open(l.File("queue"), queue.Options{
		MaxFrames: cfg.Queue.MaxFrames, MaxBytes: cfg.Queue.MaxBytes, MaxQuarantine: cfg.Queue.MaxQuarantine, Log: log,
	})
	if err != nil {
		return nil, err
	}
	trust := peer.NewTrust()
	trust.Pin(contact.Name.Org, contact.Name.Role, contact.Authorities...)
	o.pinned = &pinned{party: p, trust: trust, log: log, now: raw}
	o.client = peer.NewClient(peer.ClientConfig{
		Identity: l.identity, Trust: trust, Server: contact.Name, URL: strings.TrimSuffix(contact.URL, "/"),
	})
	o.role, err = collector.Open(collector.Config{
		Queue: o.queue, Utility: o.client, Interval: cfg.Interval, RosterFile: l.File("roster"),
		Identity: l.identity, TLS: cfg.TLS, Save: func(id *peer.Identity) error { return id.Save(l.Path, serverIdentity) },
		Backoff: peer.Backoff, Grace: cfg.Shutdown, Log: log,
	})
	return o, err
}

func (o *openCollector) close() error {
	var failures []error
	if o.role != nil {
		failures = append(failures, o.role.Close())
	}
	if o.client != nil {
		o.client.Close()
	}
	if o.queue != nil {
		failures = append(failures, o.queue.Close())
	}
	return errors.Join(append(failures, o.locked.Close())...)
}

func (p *party) serveCollector(ctx context.Context, cfg collectorConfig, out, logs io.Writer) (err error) {
	s, err := newService(ctx, cfg.common, out, logs)
	if err != nil {
		return err
	}
	o, err := takeOver(ctx, p, func() (*openCollector, error) { return p.openCollector(cfg, s.log) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	m := monitor.New(p.name, func(context.Context) error { return o.ready() })
	m.Add(p.name, collectorSamples(o.role, o.queue, o.identity))
	return s.serve(func() error { return o.start(s, m) })
}

func (o *openCollector) start(s *service, m *monitor.Monitor) error {
	if err := s.monitor(m, o.cfg.Metrics); err != nil {
		return err
	}
	l, err := s.listen("meters", o.cfg.Listen)
	if err != nil {
		return err
	}
	if err := o.role.Serve(l); err != nil {
		return errors.Join(err, l.Close())
	}
	s.onStop(func(context.Context) error { return o.role.Close() })
	o.started = time.Now()
	if err := s.operator(o.Path, api.New(o.api())); err != nil {
		return err
	}
	s.run(o.role.Run)
	s.run(o.pinned.loop)
	s.run(func(ctx context.Context) error { return boundMemory(ctx, o.cfg.TLS, o.role.Stats) })
	c := &certificates{id: o.identity, dir: o.Path, log: s.log}
	s.run(func(ctx context.Context) error {
		return c.loop(ctx, maintainEvery, func(context.Context) error { return nil })
	})
	return nil
}

// ready says what keeps the collector from handing on what it takes.
func (o *openCollector) ready() error {
	if err := o.Probe(); err != nil {
		return err
	}
	s := o.role.Stats()
	oldest, err := o.queue.Oldest()
	switch {
	case err != nil:
		return errors.New("the queue does not answer")
	case s.Posts == 0:
		return errors.New("the utility has not answered yet")
	case !oldest.IsZero() && time.Since(oldest) > 3*o.cfg.Interval+time.Minute:
		return errors.New("frames wait for the utility")
	}
	return nil
}
