package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/ttp/api"
)

func newTTP() *cobra.Command {
	p := &party{role: ttpRole()}
	cmd := group("ttp", "Run a trusted third party: readings and bills")
	cmd.Long = `Run a trusted third party (TTP). It has one folder, made by init, with its keys,
its registry, the readings and its settings (ttp.toml). Settings can also be
given in the environment, as WATTVEIL_TTP_ and the key in capitals, and as flags
of serve.

The other commands act on the server that runs in the folder, over a socket in
it, or on the folder itself when no server runs.`
	p.dirFlag(cmd)
	cmd.AddCommand(p.newInit(), p.newAuthority(), p.newTTPServe(), p.newTTPStatus(), p.newTTPUtility(), p.newTTPPeer(), p.newTTPBillKey())
	return cmd
}

// openTTP is a TTP in its folder.
type openTTP struct {
	*locked
	cfg   ttpConfig
	store *readingspebble.Store
	role  *ttp.TTP
	api   api.Config
}

// openTTP opens the folder of a TTP for this process. m is nil unless it
// serves.
func (p *party) openTTP(ctx context.Context, cfg ttpConfig, log *slog.Logger, m *monitor.Monitor) (_ *openTTP, err error) {
	l, err := p.lock(cfg.Name)
	if err != nil {
		return nil, err
	}
	o := &openTTP{locked: l, cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if o.store, err = readingspebble.Open(l.File("readings"), readingspebble.Options{Logger: log}); err != nil {
		return nil, err
	}
	c := ttp.Config{
		Dir: p.dir, Name: cfg.Name, Readings: o.store, Authority: l.authority, Identity: l.identity, Log: log,
		EpochLifetime: cfg.EpochLifetime, MaxExchanges: cfg.MaxExchanges, BillKeyOverlap: cfg.KeyOverlap,
	}
	if m != nil {
		c.Refused, c.BatchTook = m.Refused, m.BatchTook
	}
	if o.role, err = ttp.Open(ctx, c); err != nil {
		return nil, err
	}
	o.api = api.Config{
		TTP: o.role, Self: l.identity, Contact: p.contact(l, cfg.URL),
	}
	return o, nil
}

func (o *openTTP) close() error {
	var failures []error
	if o.role != nil {
		failures = append(failures, o.role.Close())
	}
	if o.store != nil {
		failures = append(failures, o.store.Close())
	}
	return errors.Join(append(failures, o.locked.Close())...)
}

// ttpClient gives the operator's client of the folder.
func (p *party) ttpClient(ctx context.Context) (*operator.Client, func() error, error) {
	var cfg ttpConfig
	if err := p.load(&cfg, nil); err != nil {
		return nil, nil, err
	}
	return p.connect(ctx, func() (*operator.Client, func() error, error) {
		o, err := p.openTTP(ctx, cfg, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			return nil, nil, err
		}
		return operator.Local(api.New(o.api)), o.close, nil
	})
}

func (p *party) newTTPServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the TTP's utilities, until SIGTERM",
		Long: `Serve utilities: exchange keys with their meters, keep the meters' readings, and
price and sign bills. Certificates are renewed before they end, and new files of
them are taken without a restart. SIGTERM lets work under way finish.

With --portal-listen it also serves consumers their pages, at --portal-url.

/healthz answers while the process lives; /readyz while its folder can be written
and its registry and store of readings answer. A store whose disk was full takes
nothing until the server is started again; meters keep their readings. Logs go to standard error. They
hold no reading and no network address.`,
		Example: `  wattveil ttp serve --dir ttp
  WATTVEIL_TTP_LOG_LEVEL=warn wattveil ttp serve --dir ttp --listen :8450`,
		Args: cobra.NoArgs,
	}
	flags := p.settingFlags(cmd, "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var cfg ttpConfig
		if err := p.load(&cfg, flags.given()); err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		return p.serveTTP(ctx, cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (p *party) serveTTP(ctx context.Context, cfg ttpConfig, out, logs io.Writer) (err error) {
	s, err := newService(ctx, cfg.common, out, logs)
	if err != nil {
		return err
	}
	var o *openTTP
	m := monitor.New(p.name, func(ctx context.Context) error { return o.ready(ctx) })
	o, err = takeOver(ctx, p, func() (*openTTP, error) { return p.openTTP(ctx, cfg, s.log, m) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	m.Add(p.name, ttpSamples(o.role, o.identity))
	return s.serve(func() error { return o.start(s, m) })
}

func (o *openTTP) start(s *service, m *monitor.Monitor) error {
	if err := s.monitor(m, o.cfg.Metrics); err != nil {
		return err
	}
	l, err := s.listen("utilities", o.cfg.Listen)
	if err != nil {
		return err
	}
	s.run(func(context.Context) error { return o.role.Server().Serve(l) })
	s.onStop(func(ctx context.Context) error {
		if err := o.role.Server().Shutdown(ctx); err != nil {
			return o.role.Server().Close()
		}
		return nil
	})
	if err := o.startPortal(s); err != nil {
		return err
	}
	o.api.Started = time.Now()
	if err := s.operator(o.Path, api.New(o.api)); err != nil {
		return err
	}
	c := &certificates{id: o.identity, dir: o.Path, log: s.log}
	s.run(func(ctx context.Context) error { return c.loop(ctx, maintainEvery, o.role.Maintain) })
	return nil
}

// ready says what keeps the TTP from its work.
func (o *openTTP) ready(ctx context.Context) error {
	if err := o.store.Failed(); err != nil {
		return fmt.Errorf("the store takes nothing until the server is started again: %w", err)
	}
	return errors.Join(o.Probe(), o.role.Ready(ctx))
}

func (p *party) newTTPStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how the TTP does",
		Long:    "Show how the TTP does: its utilities, their meters, and what it has done since it was started." + statusLong,
		Example: "  wattveil ttp status --dir ttp",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, out io.Writer) error {
		var s api.Status
		if err := c.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return err
		}
		if asJSON {
			return printLine(out, s)
		}
		rows := [][]string{
			{"name", s.Name}, {"certificate until", moment(&s.CertificateExpires)},
			{"authority until", moment(&s.AuthorityExpires)}, {"root key", s.Root},
		}
		did := append([][]string{
			{"readings", fmt.Sprint(s.Readings)},
			{"bills", fmt.Sprintf("%d given, %d refused", s.Bills, s.NoBills)},
		}, verdictRows(s.Verdicts)...)
		if err := p.printStatus(out, s.Started, rows, did); err != nil {
			return err
		}
		fmt.Fprintln(out)
		return printTable(out, utilityRows(s.Utilities)...)
	})
	return cmd
}

func utilityRows(list []api.Utility) [][]string {
	rows := [][]string{{"UC", "UTILITY", "ENROLLED", "KEYED", "UNCONFIRMED", "CLAIMS FAILED", "STATE"}}
	for _, u := range list {
		state := "let in"
		if u.Removed {
			state = "removed"
		}
		rows = append(rows, []string{fmt.Sprint(u.Number), u.Name, fmt.Sprint(u.Enrolled), fmt.Sprint(u.Keyed), fmt.Sprint(u.Unconfirmed), fmt.Sprint(u.Failed), state})
	}
	return rows
}

func (p *party) newTTPUtility() *cobra.Command {
	cmd := group("utility", "Let utilities in")
	cmd.AddCommand(p.newTTPUtilityAdd(), p.newTTPUtilityGate(), p.newTTPUtilityRemove(), p.newTTPUtilityList())
	return cmd
}

func (p *party) newTTPUtilityAdd() *cobra.Command {
	var ca, out, gateFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add ORG --ca FILE --out FILE",
		Short: "Let a utility in and write its invitation",
		Long: `Let the utility of an organisation in, with certificates of its own authority. The
TTP gives it a number, under which it keeps all that is the utility's.

--ca is the file authority.crt of the utility's folder, and --out the invitation
that "wattveil utility peer add" reads: the TTP's address, authority and root
key. Neither is secret, but who can change one on the way can take the other's
place: hand them over in person, or compare fingerprints.

--gate sets the limits of the utility's disclosure gate; see
"wattveil ttp utility gate --help". They are public.`,
		Example: "  wattveil ttp utility add example-energy --ca utility-authority.crt --out invitation.json --dir ttp",
		Args:    oneName("ORG"),
	}
	cmd.Flags().StringVar(&ca, "ca", "", "`file` with the certificate of the utility's authority")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write, which must not exist")
	cmd.Flags().StringVar(&gateFile, "gate", "", "`file` with the limits of the disclosure gate (default: those of the specification)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the utility's name and number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if ca == "" {
			return misuse("--ca is missing: give authority.crt of the utility's folder")
		}
		if out == "" {
			return misuse("--out is missing: name the file for the invitation")
		}
		if err := checkNew(out); err != nil {
			return err
		}
		limits, err := readGate(cmd, "gate", gateFile)
		if err != nil {
			return err
		}
		if err := p.addUtility(cmd, peer.Name{Org: args[0], Role: peer.RoleUtility}, ca, out, asJSON); err != nil || limits == nil {
			return err
		}
		return p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			if asJSON {
				w = io.Discard
			}
			return setGate(ctx, c, w, args[0], limits, false)
		})(cmd, args)
	}
	return cmd
}

// addUtility lets a utility in and writes its invitation, if out names a file.
func (p *party) addUtility(cmd *cobra.Command, name peer.Name, ca, out string, asJSON bool) error {
	if err := name.Validate(); err != nil {
		return misuse(err.Error())
	}
	authorities, err := readAuthorities(ca)
	if err != nil {
		return err
	}
	in := api.NewUtility{Name: name.String(), Authority: string(peer.EncodeCertificates(authorities))}
	return p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var made api.Invitation
		if err := c.Do(ctx, http.MethodPost, "/v1/utilities", in, &made); err != nil {
			return err
		}
		if out != "" {
			if err := writeNew(out, []byte(made.Document)); err != nil {
				return fmt.Errorf("%v is let in with UC number %d, and its invitation is not written; say the same again: %w", name, made.Number, err)
			}
		}
		if asJSON {
			return printLine(w, admitted{Name: name.String(), Number: made.Number})
		}
		fmt.Fprintf(w, "%v is let in with UC number %d\n", name, made.Number)
		return nil
	})(cmd, nil)
}

// admitted is a utility that is let in, as JSON. Its members are those of the
// list of utilities.
type admitted struct {
	Name   string `json:"name"`
	Number uint32 `json:"uc_number"`
}

func (p *party) newTTPUtilityRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove ORG",
		Short: "Refuse a utility from now on",
		Long: `Refuse a utility from now on, on open connections too. What the TTP holds of its
meters stays, and so does its number: adding the utility again lets it go on.`,
		Example:           "  wattveil ttp utility remove example-energy --dir ttp",
		Args:              oneName("ORG"),
		ValidArgsFunction: suggest(p.ttpClient, utilityNames),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			if err := c.Do(ctx, http.MethodDelete, "/v1/utilities/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(w, "utility %s is refused from now on\n", args[0])
			return nil
		})(cmd, args)
	}
	return cmd
}

func (p *party) newTTPUtilityList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List utilities and how far their meters have come",
		Long: `List utilities with their numbers, and how many of their meters are enrolled, share keys
with the TTP, and are not confirmed. "claims failed" counts meters, confirmed or not, on
which claims failed again and again in the last 30 days: somebody may stand between them
and the TTP.`,
		Example: "  wattveil ttp utility list --dir ttp",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one utility a line")
	cmd.RunE = p.ask(p.ttpClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		var s api.Status
		if err := c.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return err
		}
		if !asJSON {
			return printTable(w, utilityRows(s.Utilities)...)
		}
		for _, u := range s.Utilities {
			if err := printLine(w, u); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func (p *party) newTTPPeer() *cobra.Command {
	cmd := group("peer", "Pin utilities")
	cmd.AddCommand(p.newTTPPeerAdd())
	return cmd
}

func (p *party) newTTPPeerAdd() *cobra.Command {
	var ca, name, at string
	cmd := &cobra.Command{
		Use:   "add --ca FILE --name SAN",
		Short: "Pin a utility's authority, or another one of a known utility",
		Long: `Pin the authority of a utility by the name in the utility's certificate. It lets
the utility in as "wattveil ttp utility add" does, without an invitation. For a
known utility it changes the authority: certificates of the one before are
refused from then on, unless the file holds both.

A TTP calls no utility, so that --url may be left out; it is checked and not kept.`,
		Example: "  wattveil ttp peer add --ca utility-authority.crt --name wattveil://example-energy/utility --dir ttp",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&ca, "ca", "", "`file` with the certificate of the utility's authority")
	f.StringVar(&name, "name", "", "`SAN` in the utility's certificate, wattveil://ORG/utility")
	f.StringVar(&at, "url", "", "`address` of the utility, https://HOST:PORT")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if ca == "" || name == "" {
			return misuse("give --ca and --name")
		}
		if err := peer.ValidateURL(at); at != "" && err != nil {
			return misusef("--url: %v", err)
		}
		parsed, err := peer.ParseName(name)
		if err != nil {
			return misusef("--name: %v", err)
		}
		return p.addUtility(cmd, parsed, ca, "", false)
	}
	return cmd
}
