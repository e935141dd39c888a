package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/invoice"
	"github.com/wattveil/wattveil/utility/api"
)

// billInvoice is the command that prints kept bills for customers.
type billInvoice struct {
	billQuery
	meters, dir, page, lang string
	formats                 []string
	customerFile, fromFile  string

	language  invoice.Language
	sender    []string
	customers invoice.Customers
	client    *operator.Client
	err       io.Writer

	printed, replaced, invalid, nameless atomic.Int64
}

func (p *party) newBillInvoice() *cobra.Command {
	var v billInvoice
	cmd := &cobra.Command{
		Use:   "invoice --out FOLDER",
		Short: "Print kept bills as invoices, PDF and HTML",
		Long: `Print the bills that are kept as invoices, one file for each bill and format:
METER_DATE_HASH.pdf with the first day and the beginning of the bill's hash. The
same bill gives the same file. A bill that another one corrects is left out; the
invoice of that one asks for what it comes to more, or credits what is less.

An invoice has the bill's lines, a chart of them, a chart of the totals of up to
12 earlier bills, what is estimated or corrected, and a code whose address holds
the signed bill after #. Nothing on it is finer than that: the utility has nothing
finer. A bill that is too long for a code has none, and the invoice says so. The
signed bill comes along as a file, bill.json, for "wattveil bill verify".

--customers is a CSV file with the columns meter, name and address1 to address6
(spec/billing.md). Names and addresses are printed on the invoices, and neither
kept nor sent anywhere. --sender is a text file of up to 8 lines with the
utility's own name and address.

The exit code is 0 if every bill has its invoices, 3 if some kept bills are not
valid and were left out, and 1 if something else failed.`,
		Example: `  wattveil utility bill invoice --period 2018-11 --out invoices --lang de-CH --customers customers.csv --sender letterhead.txt --url https://portal.example/check --dir utility
  wattveil utility bill invoice --meters moved-out.txt --out invoices --format pdf,html --url https://portal.example/check --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&v.period, "period", "", "bills that begin in this `period` (default: all)")
	f.StringVar(&v.tariff, "tariff", "", "bills by the tariff with this `id`")
	f.StringVar(&v.meters, "meters", "", "`file` with one meter a line, - for standard input (default: all)")
	f.StringVar(&v.dir, "out", "", "`folder` for the invoices, made if it is missing")
	f.StringSliceVar(&v.formats, "format", []string{"pdf"}, "`formats`, of pdf and html")
	f.StringVar(&v.lang, "lang", "en", "`language`, with its way to write numbers and dates: "+strings.Join(invoice.Languages(), ", "))
	f.StringVar(&v.page, "url", "", "`address` of the page that checks bills (default: bill_page of the settings)")
	f.StringVar(&v.customerFile, "customers", "", "CSV `file` with names and addresses")
	f.StringVar(&v.fromFile, "sender", "", "text `file` with the utility's name and address (default: its name)")
	suggestFlag(cmd, "tariff", suggest(p.utilityClient, tariffNames))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := v.check(p); err != nil {
			return err
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			v.client, v.err = c, cmd.ErrOrStderr()
			return v.run(ctx, cmd.InOrStdin(), w)
		})(cmd, args)
	}
	return cmd
}

// check reads what the flags name.
func (v *billInvoice) check(p *party) (err error) {
	if v.dir == "" {
		return misuse("--out is missing: name a folder for the invoices")
	}
	for _, f := range v.formats {
		if f != "pdf" && f != "html" {
			return misusef("--format %q: want pdf, html or both", f)
		}
	}
	if v.language, err = invoice.ParseLanguage(v.lang); err != nil {
		return misusef("--lang %v", err)
	}
	var cfg utilityConfig
	if err := p.load(&cfg, nil); err != nil {
		return err
	}
	if v.page == "" {
		v.page = cfg.BillPage
	}
	if v.page == "" {
		return misuse("--url is missing: name the page that checks bills, or set bill_page in utility.toml")
	}
	if err := invoice.CheckURL(v.page); err != nil {
		return misusef("--url: %v", err)
	}
	return errors.Join(v.readSender(cfg.Name), v.readCustomers())
}

func (v *billInvoice) readSender(name string) error {
	v.sender = []string{name}
	if v.fromFile == "" {
		return nil
	}
	text, err := readSmall("--sender", v.fromFile)
	if err != nil {
		return err
	}
	v.sender = strings.Split(strings.ReplaceAll(strings.TrimSpace(string(text)), "\r\n", "\n"), "\n")
	if err := invoice.CheckAddress(v.sender); err != nil {
		return fmt.Errorf("--sender %s: %w", v.fromFile, err)
	}
	return nil
}

func (v *billInvoice) readCustomers() error {
	if v.customerFile == "" {
		return nil
	}
	f, err := os.Open(v.customerFile)
	if err != nil {
		return fmt.Errorf("--customers: %w", err)
	}
	defer func() { _ = f.Close() }()
	if v.customers, err = invoice.ReadCustomers(bufio.NewReader(f)); err != nil {
		return fmt.Errorf("--customers %s: %w", v.customerFile, err)
	}
	return nil
}

func (v *billInvoice) run(ctx context.Context, in io.Reader, out io.Writer) error {
	meters, err := chooseMeters(ctx, v.client, v.meters, in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	bar := billBar(v.err, "meters", len(meters))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, m := range meters {
		if within.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := v.meter(within, m); err != nil {
				return fmt.Errorf("invoices of meter %s: %w", m, err)
			}
			return bar.Add(1)
		})
	}
	if err := group.Wait(); err != nil {
		_ = bar.Exit()
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return err
	}
	_ = bar.Finish()
	return v.summary(out)
}

func (v *billInvoice) summary(out io.Writer) error {
	if v.printed.Load()+v.replaced.Load()+v.invalid.Load() == 0 {
		return errors.New("no bill is kept for that: ask for some with wattveil utility bill run")
	}
	fmt.Fprintf(out, "%d bills printed to %s as %s\n", v.printed.Load(), v.dir, strings.Join(v.formats, " and "))
	if n := v.replaced.Load(); n > 0 {
		fmt.Fprintf(out, "%d bills left out, which others correct\n", n)
	}
	if n := v.nameless.Load(); n > 0 {
		fmt.Fprintf(out, "%d bills printed without a name: their meters are not in %s\n", n, v.customerFile)
	}
	if n := v.invalid.Load(); n > 0 {
		return found{fmt.Errorf("%d kept bills are not valid and have no invoice: see wattveil utility bill list", n)}
	}
	return nil
}

// meter writes the invoices of one meter.
func (v *billInvoice) meter(ctx context.Context, name string) error {
	id, err := wattveil.ParseMeterID(name)
	if err != nil {
		return err
	}
	var kept []api.MeterBill
	all := billQuery{meter: name} // of other tariffs too, for the chart
	err = all.each(ctx, v.client, func(b api.MeterBill) error {
		kept = append(kept, b)
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range kept {
		chosen, err := v.has(b)
		if err != nil {
			return err
		}
		if !chosen || v.tariff != "" && b.Tariff != v.tariff || b.Meter != name { // of the device in its place
			continue
		}
		if err := v.print(id, b, kept); err != nil {
			return err
		}
	}
	return nil
}

// print writes the invoices of one bill of those that are kept of a meter.
func (v *billInvoice) print(id wattveil.MeterID, b api.MeterBill, kept []api.MeterBill) error {
	if b.Document == nil {
		v.invalid.Add(1)
		return nil
	}
	earlier, replaced := earlierBills(b, kept)
	if replaced {
		v.replaced.Add(1)
		return nil
	}
	document, err := bill.ParseDocument(b.Proven)
	if err != nil {
		return fmt.Errorf("bill of meter %s: %w", b.Meter, err)
	}
	customer := v.customers[id]
	if v.customers != nil && customer == nil {
		v.nameless.Add(1)
	}
	made := invoice.Invoice{
		Bill: *b.Document, Document: document, Meter: id, Sender: v.sender, Customer: customer, Earlier: earlier, URL: v.page,
	}
	for _, format := range v.formats {
		if err := v.write(&made, format); err != nil {
			return err
		}
	}
	v.printed.Add(1)
	return nil
}

func (v *billInvoice) write(made *invoice.Invoice, format string) (err error) {
	var content []byte
	switch format {
	case "html":
		content, err = v.language.HTML(made)
	default:
		if lacks := invoice.Undrawn(slices.Concat(made.Sender, made.Customer)); lacks != "" {
			fmt.Fprintf(v.err, "note: meter %v: the font of PDFs lacks %q of the address; the HTML page has it\n", made.Meter, lacks)
		}
		content, err = v.language.PDF(made)
	}
	if err != nil {
		return err
	}
	return folder.WriteFile(filepath.Join(v.dir, made.Name()+"."+format), content, 0o600)
}

// earlierBills are a meter's bills before one of them, in its currency, and
// whether one of its bills corrects this one.
func earlierBills(b api.MeterBill, kept []api.MeterBill) (list []invoice.Earlier, replaced bool) {
	hash := bill.HashOf(b.JWS).String()
	for _, e := range kept {
		switch {
		case e.Document == nil || e.JWS == b.JWS || e.Document.Currency != b.Document.Currency:
		case e.Document.Corrects == hash:
			return nil, true
		case !e.To.After(*b.From), bill.HashOf(e.JWS).String() == b.Document.Corrects:
			list = append(list, invoice.Earlier{Bill: *e.Document, JWS: e.JWS})
		}
	}
	return list, false
}
