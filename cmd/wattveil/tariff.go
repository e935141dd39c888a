package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/tariff/urdb"
)

func newTariff() *cobra.Command {
	cmd := group("tariff", "Work with tariffs and price series")
	cmd.AddCommand(newTariffCheck(), newTariffImportURDB(), newTariffImportSeries(), newTariffPrice())
	return cmd
}

func newTariffCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a tariff or a price series",
		Long: `Check a tariff or a price series in JSON, and print what it says.

Everything that is wrong is listed with the member at fault, the reason, and
what to write. A sound tariff may still have warnings: what a TTP may refuse to
bill because it would tell too much of single intervals. FILE may be "-" for
standard input.

The exit code is 0 if the file is sound, with warnings or not, and 1 otherwise.`,
		Example: `  wattveil tariff check tou.json
  wattveil tariff check --json prices-2026-11.json`,
		Args: oneArgument("a tariff or a price series"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkTariff(cmd.InOrStdin(), cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return cmd
}

func oneArgument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one FILE with %s, or - for standard input; have %d", what, len(args))
		}
		return nil
	}
}

// maxTariffInput is above the limits of tariffs, rates and series, whose own
// refusals say more.
const maxTariffInput = 8 << 20

// tariffOutcome is what `tariff check` prints with --json.
type tariffOutcome struct {
	OK       bool            `json:"ok"`
	Kind     string          `json:"kind"` // "tariff" or "series"
	ID       string          `json:"id,omitempty"`
	Digest   string          `json:"digest,omitempty"`
	Problems []tariffProblem `json:"problems,omitempty"`
	Warnings []tariffProblem `json:"warnings,omitempty"`
	Notes    []tariff.Note   `json:"notes,omitempty"`
	summary  [][2]string     // of the text output
}

type tariffProblem struct {
	Member string `json:"member,omitempty"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
}

func tariffProblems(list []tariff.Problem) []tariffProblem {
	var out []tariffProblem
	for _, p := range list {
		out = append(out, tariffProblem{Member: p.Path, Reason: p.Reason, Fix: p.Fix})
	}
	return out
}

func checkTariff(stdin io.Reader, stdout io.Writer, file string, asJSON bool) error {
	data, err := readLimited(stdin, file, maxTariffInput)
	if err != nil {
		return fmt.Errorf("read tariff: %w", err)
	}
	o := outcomeOf(data)
	if asJSON {
		err = encodeJSON(stdout, o)
	} else {
		err = writeTariffOutcome(stdout, o)
	}
	if err == nil && !o.OK {
		err = fmt.Errorf("%s: the %s is refused: %d problems", file, o.Kind, len(o.Problems))
		if len(o.Problems) == 1 {
			err = fmt.Errorf("%s: the %s is refused: 1 problem", file, o.Kind)
		}
	}
	return err
}

// outcomeOf checks a text as what it looks like.
func outcomeOf(data []byte) tariffOutcome {
	switch {
	case tariff.IsSeries(data):
		return seriesOutcome(data)
	case isCSV(data):
		return tariffOutcome{Kind: "tariff", Problems: []tariffProblem{{
			Reason: "is no JSON, and looks like CSV",
			Fix:    "make a price series of prices with wattveil tariff import-series; price readings with wattveil tariff price --readings",
		}}}
	default:
		return outcomeOfTariff(data)
	}
}

func outcomeOfTariff(data []byte) tariffOutcome {
	o := tariffOutcome{Kind: "tariff"}
	t, err := tariff.Parse(data)
	if err != nil {
		o.Problems = refusalOf(err)
		return o
	}
	o.OK, o.ID, o.Digest = true, t.ID(), t.Digest().String()
	o.Warnings, o.Notes = tariffProblems(t.Advise()), t.Document().Notes
	doc := t.Document()
	valid := "from " + doc.ValidFrom
	if doc.ValidTo != "" {
		valid += " to " + doc.ValidTo + " (exclusive)"
	}
	if doc.Replaces != "" {
		valid += ", replaces " + doc.Replaces
	}
	o.summary = [][2]string{
		{"Tariff", t.ID()}, {"Digest", o.Digest}, {"Valid", valid},
		{"Prices", "in " + t.Currency().String() + ", by the clock of " + doc.Timezone},
	}
	if names := t.Series(); len(names) > 0 {
		o.summary = append(o.summary, [2]string{"Series", strings.Join(names, ", ")})
	}
	for i := range t.Bands() {
		o.summary = append(o.summary, [2]string{"Band", bandText(t.Rate(i))})
	}
	for _, d := range t.Demands() {
		o.summary = append(o.summary, [2]string{"Demand", fmt.Sprintf("%s: highest mean of %d min in a month", d.Name, int(d.Length.Minutes()))})
	}
	for _, c := range t.Charges() {
		o.summary = append(o.summary, [2]string{"Charge", c.Kind + " " + c.Name + ": " + feeText(c.Fee)})
	}
	if fee, ok := t.Standing(); ok {
		o.summary = append(o.summary, [2]string{"Standing", feeText(fee)})
	}
	if fee, ok := t.Minimum(); ok {
		o.summary = append(o.summary, [2]string{"Minimum", feeText(fee)})
	}
	return o
}

// isCSV tells whether a text that is not JSON begins with a line of columns.
func isCSV(data []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(data, "\ufeff \t\r\n"), []byte("\n"))
	return !json.Valid(data) && len(line) > 0 && line[0] != '{' && line[0] != '[' && bytes.ContainsAny(line, ",;\t")
}

func seriesOutcome(data []byte) tariffOutcome {
	o := tariffOutcome{Kind: "series"}
	s, err := tariff.ParseSeries(data)
	if err != nil {
		o.Problems = refusalOf(err)
		return o
	}
	o.OK, o.ID, o.Digest = true, s.Name(), s.Digest(s.From().Unix(), s.To().Unix()).String()
	o.summary = [][2]string{
		{"Series", s.Name()}, {"Digest", o.Digest},
		{"Prices", fmt.Sprintf("%d in %s, each for %d min", len(s.Document().Prices), s.Currency(), int(s.Step().Minutes()))},
		{"From", s.From().Format(time.RFC3339)}, {"To", s.To().Format(time.RFC3339)},
	}
	return o
}

// refusalOf lists what an error says is wrong.
func refusalOf(err error) []tariffProblem {
	var refusal *tariff.Error
	if errors.As(err, &refusal) {
		return tariffProblems(refusal.Problems)
	}
	return []tariffProblem{{Reason: err.Error()}}
}

func bandText(r tariff.Rate) string {
	s := r.Band + ": "
	switch {
	case r.ImportSeries != "":
		s += "series " + r.ImportSeries
	case r.Tiers != nil:
		s += fmt.Sprintf("%d tiers from %s", len(r.Tiers), r.Import)
	default:
		s += r.Import.String()
	}
	switch {
	case r.ExportSeries != "":
		s += ", export by series " + r.ExportSeries
	case r.Export.Sign() > 0:
		s += ", export " + r.Export.String()
	}
	return s
}

func feeText(f tariff.Fee) string {
	return f.Price.String() + map[tariff.Per]string{tariff.PerKWh: " a kWh", tariff.PerDay: " a day", tariff.PerMonth: " a month"}[f.Per]
}

func writeTariffOutcome(w io.Writer, o tariffOutcome) error {
	var s strings.Builder
	for _, row := range o.summary {
		fmt.Fprintf(&s, "%-9s %s\n", row[0], row[1])
	}
	for _, n := range o.Notes {
		fmt.Fprintf(&s, "%-9s %s: %s\n", "Note", n.Member, n.Text)
	}
	for _, list := range []struct {
		word string
		of   []tariffProblem
	}{{"problem", o.Problems}, {"warning", o.Warnings}} {
		for _, p := range list.of {
			fmt.Fprintf(&s, "%-9s ", list.word)
			if p.Member != "" {
				s.WriteString(p.Member + ": ")
			}
			s.WriteString(p.Reason + "\n")
			if p.Fix != "" {
				fmt.Fprintf(&s, "%-9s %s\n", "", p.Fix)
			}
		}
	}
	if o.OK {
		fmt.Fprintf(&s, "The %s is sound.\n", o.Kind)
	}
	if _, err := io.WriteString(w, s.String()); err != nil {
		return fmt.Errorf("print outcome: %w", err)
	}
	return nil
}

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

func newTariffImportURDB() *cobra.Command {
	var o urdb.Options
	cmd := &cobra.Command{
		Use:   "import-urdb FILE",
		Short: "Make a tariff of a rate of the OpenEI Utility Rate Database",
		Long: `Make a tariff of a rate of the OpenEI Utility Rate Database (URDB), and print it
in JSON on standard output.

Energy prices, tiers, time-of-use and flat demand charges, fixed and minimum
charges and their schedules are taken. Fields that cannot be priced from
readings, such as coincident peaks, become notes of the tariff and are listed
on standard error. A rate that cannot be expressed at all is an error.

The database does not say in which time zone a utility is: name it with --tz.
Without it the tariff says UTC and that this is a stand-in; "tariff price" then
prices it on the clock of its own --tz.`,
		Example: `  wattveil tariff import-urdb --tz America/Los_Angeles rate.json > tariff.json
  wattveil tariff import-urdb --tz America/New_York --id sc-9 coned.json`,
		Args: oneArgument("a rate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return importURDB(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Zone, "tz", "", "time `zone` of the utility")
	f.StringVar(&o.ID, "id", "", "`id` of the tariff (default: urdb- and the rate's label)")
	f.StringVar(&o.Currency, "currency", "USD", "`code` of the currency")
	return cmd
}

func importURDB(stdin io.Reader, stdout, stderr io.Writer, file string, o urdb.Options) error {
	data, err := readLimited(stdin, file, maxTariffInput)
	if err != nil {
		return fmt.Errorf("read rate: %w", err)
	}
	t, err := urdb.Import(data, o)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, n := range t.Document().Notes {
		fmt.Fprintf(stderr, "note: %s: %s\n", n.Member, n.Text)
	}
	return encodeJSON(stdout, t)
}
