package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility/api"
)

func newUtility() *cobra.Command {
	p := &party{role: utilityRole()}
	cmd := group("utility", "Run a utility: meters, collectors, tariffs and bills")
	cmd.Long = `Run a utility. It has one folder, made by init, with its keys, its registry and
its settings (utility.toml). Settings can also be given in the environment, as
WATTVEIL_UTILITY_ and the key in capitals, and as flags of serve.

The other commands act on the server that runs in the folder, over a socket in
it, or on the folder itself when no server runs.`
	p.dirFlag(cmd)
	cmd.AddCommand(p.newInit(), p.newAuthority(), p.newUtilityServe(), p.newUtilityStatus(), p.newUtilityCollector(),
		p.newUtilityPeer(), p.newUtilityEnrol(), p.newUtilityMeter(), p.newUtilityTariff(), p.newUtilitySeries(), p.newUtilityBill())
	return cmd
}

func (p *party) newUtilityServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the utility's collectors, until SIGTERM",
		Long: `Serve the utility's collectors: check what their meters send, put pseudonyms in
the place of names, and pass it on to the TTP. Certificates are renewed before
they end, and new files of them are taken without a restart. SIGTERM lets work
under way finish.

/healthz answers while the process lives; /readyz while the folder can be written,
the registry answers and all TTPs are enrolled. Logs go to standard error. They
hold no network address.`,
		Example: `  wattveil utility serve --dir utility
  WATTVEIL_UTILITY_LOG_FORMAT=json wattveil utility serve --dir utility --listen :8440`,
		Args: cobra.NoArgs,
	}
	flags := p.settingFlags(cmd, "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var cfg utilityConfig
		if err := p.load(&cfg, flags.given()); err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		return p.serveUtility(ctx, cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (p *party) serveUtility(ctx context.Context, cfg utilityConfig, out, logs io.Writer) (err error) {
	s, err := newService(ctx, cfg.common, out, logs)
	if err != nil {
		return err
	}
	var o *openUtility
	m := monitor.New(p.name, func(ctx context.Context) error { return o.ready(ctx) })
	o, err = takeOver(ctx, p, func() (*openUtility, error) { return p.openUtility(ctx, cfg, s.log, m) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	m.Add(p.name, utilitySamples(o.role, o.identity))
	return s.serve(func() error { return o.start(s, m) })
}

func (o *openUtility) start(s *service, m *monitor.Monitor) error {
	if err := s.monitor(m, o.cfg.Metrics); err != nil {
		return err
	}
	l, err := s.listen("collectors", o.cfg.Listen)
	if err != nil {
		return err
	}
	s.run(func(context.Context) error { return o.role.Server().Serve(l) })
	s.onStop(func(ctx context.Context) error {
		if err := o.role.Shutdown(ctx); err != nil {
			return o.role.Server().Close()
		}
		return nil
	})
	o.api.Started = time.Now()
	if err := s.operator(o.Path, api.New(o.api)); err != nil {
		return err
	}
	c := &certificates{id: o.identity, dir: o.Path, log: s.log}
	s.run(func(ctx context.Context) error { return c.loop(ctx, o.cfg.EnrolEvery, o.role.Maintain) })
	return nil
}

// ready says what the utility lacks to do its work.
func (o *openUtility) ready(ctx context.Context) error {
	if err := o.Probe(); err != nil {
		return err
	}
	orgs := o.role.TTPs()
	if len(orgs) == 0 {
		return errors.New("no TTP is known: run wattveil utility peer add")
	}
	for _, org := range orgs {
		t, err := o.role.Trustee(ctx, org)
		if err != nil {
			return errors.New("the registry does not answer")
		}
		if !t.Enrolled {
			return errors.New("a TTP is not enrolled: run wattveil utility enrol")
		}
	}
	return nil
}

// ask runs a command of the operator: it connects to the utility, and do calls
// it.
func (p *party) ask(connect connector, do func(ctx context.Context, c *operator.Client, out io.Writer) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) (err error) {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		c, end, err := connect(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		return do(ctx, c, cmd.OutOrStdout())
	}
}

// printTable prints rows of columns.
func printTable(out io.Writer, rows ...[]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// moment is a time for a person, or a dash.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.RFC3339)
}

func (p *party) newUtilityStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how the utility does",
		Long:    "Show how the utility does: its TTPs, collectors and meters, and what it has done since it was started." + statusLong,
		Example: "  wattveil utility status --dir utility",
		Args:    cobra.NoArgs,
		RunE: p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, out io.Writer) error {
			var s api.Status
			if err := c.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
				return err
			}
			if asJSON {
				return printLine(out, s)
			}
			return p.printUtility(out, s)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (p *party) printUtility(out io.Writer, s api.Status) error {
	rows := [][]string{
		{"name", s.Name},
		{"certificate until", moment(&s.CertificateExpires)},
		{"authority until", moment(&s.AuthorityExpires)},
		{"meters", fmt.Sprintf("%d added, %d registered, %d enrolled, %d refused, %d draining, %d ended",
			s.Meters.Added, s.Meters.Registered, s.Meters.Enrolled, s.Meters.Refused, s.Meters.Draining, s.Meters.Ended)},
	}
	for _, t := range s.TTPs {
		state := "not enrolled"
		if t.Enrolled {
			state = fmt.Sprintf("enrolled, UC number %d", t.Number)
		}
		rows = append(rows, []string{"TTP", fmt.Sprintf("%s at %s, %s", t.Name, t.URL, state)})
	}
	for _, c := range s.Collectors {
		rows = append(rows, []string{"collector", fmt.Sprintf("%s, last post %s", c.Name, moment(c.LastPost))})
	}
	return p.printStatus(out, s.Started, rows, append([][]string{{"posts", fmt.Sprint(s.Posts)}}, verdictRows(s.Verdicts)...))
}

func (p *party) newUtilityCollector() *cobra.Command {
	cmd := group("collector", "Add and remove collectors")
	cmd.AddCommand(p.newCollectorAdd(), p.newCollectorRemove())
	return cmd
}

func (p *party) newCollectorAdd() *cobra.Command {
	var in api.NewCollector
	var out string
	cmd := &cobra.Command{
		Use:   "add NAME --out FILE",
		Short: "Make a collector known and write its credentials",
		Long: `Make a collector known to the utility and write what "wattveil collector init"
needs on its machine: the utility's address and authority, and the collector's
own key and certificate. The file is a secret (mode 0600): move it to the
collector and delete it.`,
		Example: "  wattveil utility collector add north --address mqtt://north.example:1883 --out north.json --dir utility",
		Args:    oneName("NAME"),
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write, which must not exist")
	cmd.Flags().StringVar(&in.Address, "address", "", "where meters reach it, as mqtt://HOST:PORT, or mqtts://HOST:PORT if it serves TLS; goes into provisioning records")
	cmd.Flags().BoolVar(&in.Replace, "replace", false, "give a known collector new credentials and refuse the old ones")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkNew(out); err != nil {
			return err
		}
		in.Name = args[0]
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var made api.Credentials
			if err := c.Do(ctx, http.MethodPost, "/v1/collectors", in, &made); err != nil {
				return err
			}
			if err := writeNew(out, []byte(made.Document)); err != nil {
				return err
			}
			fmt.Fprintf(w, "collector %s may post; %s is its secret: move it to the collector's machine\n", in.Name, out)
			return nil
		})(cmd, args)
	}
	return cmd
}

// oneName wants exactly one argument.
func oneName(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one %s, have %d", what, len(args))
		}
		return nil
	}
}

func (p *party) newCollectorRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Refuse a collector from now on",
		Long: `Refuse a collector from now on, on open connections too. Frames that it still
holds are not lost: its meters keep their readings until the TTP has them, and
send them by another collector.`,
		Example:           "  wattveil utility collector remove north --dir utility",
		Args:              oneName("NAME"),
		ValidArgsFunction: suggest(p.utilityClient, collectorNames),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			if err := c.Do(ctx, http.MethodDelete, "/v1/collectors/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(w, "collector %s is refused from now on\n", args[0])
			return nil
		})(cmd, args)
	}
	return cmd
}

func (p *party) newUtilityPeer() *cobra.Command {
	cmd := group("peer", "Pin TTPs")
	cmd.AddCommand(p.newUtilityPeerAdd())
	return cmd
}

func (p *party) newUtilityPeerAdd() *cobra.Command {
	var invitation, ca, name, at string
	cmd := &cobra.Command{
		Use:   "add {--invitation FILE | --ca FILE --name SAN --url URL}",
		Short: "Pin a TTP: its authority, name and address",
		Long: `Pin a TTP, so that the utility connects to it and to nobody in its place. The
TTP's operator makes an invitation with "wattveil ttp utility add"; it also names
the TTP's root key, which the enrolment then checks. Without one, give the
certificate of the TTP's authority, the name in its certificate, and its address.

Get either from the TTP itself, over a channel that nobody else can write to.
For a known TTP this changes its authority or its address at once; while it goes
over to a new authority, --ca holds both certificates. A utility may have several
TTPs; each meter belongs to one.`,
		Example: `  wattveil utility peer add --invitation invitation.json --dir utility
  wattveil utility peer add --ca ttp.crt --name wattveil://example-trust/ttp --url https://ttp.example:8450 --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&invitation, "invitation", "", "`file` that the TTP's operator gave")
	f.StringVar(&ca, "ca", "", "`file` with the certificate of the TTP's authority")
	f.StringVar(&name, "name", "", "`SAN` in the TTP's certificate, wattveil://ORG/ttp")
	f.StringVar(&at, "url", "", "`address` of the TTP, https://HOST:PORT")
	cmd.MarkFlagsMutuallyExclusive("invitation", "ca")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		contact, err := readContact(invitation, ca, name, at)
		if err != nil {
			return err
		}
		document, err := contact.Encode()
		if err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			if err := c.Do(ctx, http.MethodPost, "/v1/ttps", api.NewTTP{Contact: string(document)}, nil); err != nil {
				return err
			}
			fmt.Fprintf(w, "%v is pinned; next: wattveil utility enrol --dir %s\n", contact.Name, p.dir)
			return nil
		})(cmd, args)
	}
	return cmd
}

// readContact is a TTP from its invitation or from its parts.
func readContact(invitation, ca, name, at string) (peer.Contact, error) {
	if invitation != "" {
		b, err := readSmall("--invitation", invitation)
		if err != nil {
			return peer.Contact{}, err
		}
		c, err := peer.ParseContact(b)
		if err != nil {
			return peer.Contact{}, fmt.Errorf("--invitation %s: %w", invitation, err)
		}
		return c, nil
	}
	if slices.Contains([]string{ca, name, at}, "") {
		return peer.Contact{}, misuse("give --invitation, or all of --ca, --name and --url")
	}
	authorities, err := readAuthorities(ca)
	if err != nil {
		return peer.Contact{}, err
	}
	c := peer.Contact{URL: at, Authorities: authorities}
	if c.Name, err = peer.ParseName(name); err != nil {
		return peer.Contact{}, misusef("--name: %v", err)
	}
	return c, c.Validate()
}

func (p *party) newUtilityEnrol() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "enrol",
		Short: "Issue the TTPs' keys and enrol waiting meters",
		Long: `Issue the keys of all TTPs that are pinned, fetch the keys under which their
bills verify, and send them the statements of meters that wait for it. It comes
before the first meter; later, the server enrols new meters by itself, and this
renews the TTPs' keys.`,
		Example: "  wattveil utility enrol --dir utility",
		Args:    cobra.NoArgs,
		RunE: p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var list []api.TTP
			if err := c.Do(ctx, http.MethodPost, "/v1/enrol", nil, &list); err != nil {
				return err
			}
			for _, t := range list {
				if asJSON {
					if err := printLine(w, t); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(w, "%s is enrolled: UC number %d, root key %s\n", t.Name, t.Number, t.Root)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one TTP a line")
	return cmd
}
