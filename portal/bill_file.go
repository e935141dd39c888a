package portal

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wattveil/wattveil/bill"
	billpage "github.com/wattveil/wattveil/bill/page"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/export"
	"github.com/wattveil/wattveil/invoice"
)

// billFileKind is a file of a bill.
type billFileKind struct {
	kind  string // of its content
	write func(*visit, *consumer.Bill, io.Writer) error
}

// whole makes a file before any of it is sent.
func whole(kind string, file func(*visit, *consumer.Bill) ([]byte, error)) billFileKind {
	return billFileKind{kind, func(v *visit, b *consumer.Bill, out io.Writer) error {
		content, err := file(v, b)
		if err == nil {
			_, err = out.Write(content)
		}
		return err
	}}
}

// billFiles are all of them, by name (spec/portal.md section 10).
var billFiles = map[string]billFileKind{
	"bill.json":     whole("application/json", documentFile),
	"secret.json":   whole("application/json", openingFile),
	"intervals.csv": {"text/csv; charset=utf-8", writeIntervals},
	"registers.csv": {"text/csv; charset=utf-8", writeBillRegisters},
	"tariff.json":   whole("application/json", tariffFile),
	"keys.json":     whole("application/json", keysFile),
	"log.json":      whole("application/json", logKeysFile),
	"bill.pdf":      whole("application/pdf", pdfFile),
	"check.json":    whole("application/json", checkFile),
}

// billFile answers a file of a bill.
func billFile(v *visit) error {
	b, _, err := v.findBill()
	if err != nil {
		return err
	}
	name := v.r.PathValue("file")
	file, ok := billFiles[name]
	if !ok {
		return consumer.NoBill
	}
	return v.download(file.kind, savedAs(b, name), func(out io.Writer) error { return file.write(v, b, out) })
}

// savedAs is what a browser calls a file of a bill.
func savedAs(b *consumer.Bill, name string) string { return b.From.Format(dateForm) + "-" + name }

// verifyCommand checks a bill's files as they are saved.
func verifyCommand(b *consumer.Bill, withLog, withReadings bool) string {
	args := []string{"wattveil bill verify", "--key", savedAs(b, "keys.json")}
	if withLog {
		args = append(args, "--log", savedAs(b, "log.json"))
	}
	args = append(args, "--tariff", savedAs(b, "tariff.json"))
	if withReadings {
		args = append(args, "--readings", savedAs(b, "intervals.csv"), "--secret", savedAs(b, "secret.json"))
	}
	return strings.Join(append(args, savedAs(b, "bill.json")), " ")
}

func documentFile(_ *visit, b *consumer.Bill) ([]byte, error) { return b.Document.Text() }

// opening is the secret of a bill with the leaves of its days (spec/bill.md
// section 10).
type opening struct {
	Leaves []bill.Hash `json:"leaves,omitempty"`
	Secret string      `json:"secret"`
}

func openingOf(e *consumer.BillEnergy) opening {
	o := opening{Secret: e.Secret.Text()}
	if e.Same {
		o.Leaves = e.Leaves
	}
	return o
}

func openingFile(v *visit, b *consumer.Bill) ([]byte, error) {
	e, err := v.s.cfg.TTP.BillEnergy(v.r.Context(), v.meter.Name, *b)
	if err != nil {
		return nil, err
	}
	return json.Marshal(openingOf(&e))
}

func tariffFile(v *visit, b *consumer.Bill) ([]byte, error) {
	e, err := v.s.cfg.TTP.BillEnergy(v.r.Context(), v.meter.Name, *b)
	if err != nil {
		return nil, err
	}
	return e.Terms.MarshalJSON()
}

func keysFile(v *visit, _ *consumer.Bill) ([]byte, error) {
	keys, err := v.s.cfg.TTP.BillKeysFor(v.r.Context(), v.meter.Name)
	return keys.JWKS, err
}

func logKeysFile(v *visit, _ *consumer.Bill) ([]byte, error) {
	keys, err := v.s.cfg.TTP.BillKeysFor(v.r.Context(), v.meter.Name)
	if err == nil && keys.Log == "" {
		err = consumer.NoBill
	}
	return []byte(keys.Log), err
}

// writeIntervals writes what the bill was made from, in the third form of
// spec/bill.md section 10.
func writeIntervals(v *visit, b *consumer.Bill, out io.Writer) error {
	e, err := v.s.cfg.TTP.BillEnergy(v.r.Context(), v.meter.Name, *b)
	if err != nil {
		return err
	}
	w, err := export.NewIntervals(out)
	if err != nil {
		return err
	}
	for _, i := range e.Intervals {
		if err := w.Write(&consumer.Interval{Interval: i.Interval, Quality: uint16(i.Quality)}); err != nil {
			return err
		}
	}
	return w.Close()
}

// aroundBill is how far outside of a bill's period readings count for it.
const aroundBill = 35 * 24 * time.Hour

// writeBillRegisters writes the meter's readings in the second form.
func writeBillRegisters(v *visit, b *consumer.Bill, out io.Writer) error {
	return v.inTurn(func() error { return v.writeRegisters(out, b.From.Add(-aroundBill), b.To.Add(aroundBill)) })
}

// pdfFile prints the bill, with those that came before it. The TTP knows no
// name and address, so there is none on it.
func pdfFile(v *visit, b *consumer.Bill) ([]byte, error) {
	list, err := v.s.cfg.TTP.Bills(v.r.Context(), v.meter.Name)
	if err != nil {
		return nil, err
	}
	keys, err := v.s.cfg.TTP.BillKeysFor(v.r.Context(), v.meter.Name)
	if err != nil {
		return nil, err
	}
	set, err := bill.ParseKeySet(keys.JWKS)
	if err != nil {
		return nil, err
	}
	checked, err := bill.Verify(b.Document.JWS, set)
	if err != nil {
		return nil, fmt.Errorf("%w: the bill does not hold: %w", consumer.NoBill, err)
	}
	print := invoice.Invoice{
		Bill: checked.Bill, Document: b.Document, Sender: []string{checked.Issuer}, URL: v.s.URL() + "/check",
	}
	for _, other := range earlierBills(b, list) {
		if earlier, err := bill.Verify(other.Document.JWS, set); err == nil {
			print.Earlier = append(print.Earlier, invoice.Earlier{Bill: earlier.Bill, JWS: other.Document.JWS})
		}
	}
	print.Earlier = print.Earlier[max(0, len(print.Earlier)-invoice.MaxEarlier):]
	language, err := invoice.ParseLanguage(v.locale.lang)
	if err != nil {
		return nil, err
	}
	return language.PDF(&print)
}

// earlierBills are a meter's bills before one of them, in its currency, without
// those that others replace but for the one that it replaces itself.
func earlierBills(b *consumer.Bill, list []consumer.Bill) []consumer.Bill {
	return slices.DeleteFunc(slices.Clone(list), func(other consumer.Bill) bool {
		if bill.HashOf(other.Document.JWS).String() == b.Content.Corrects {
			return false
		}
		return other.To.After(b.From) || other.Content.Currency != b.Content.Currency || correctionOf(&other, list) != nil
	})
}

// checkPage is the page that checks bills by themselves, for whoever has one on
// paper: the code that is printed on it leads here. It has its own policy, by
// which it asks nobody for anything, in the place of the portal's.
func checkPage(v *visit) error {
	keys, err := v.s.cfg.TTP.BillKeys(v.r.Context())
	if err != nil {
		return err
	}
	content, err := billpage.HTML(billpage.Keys{JWKS: string(keys)})
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Security-Policy", "frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = v.w.Write(content) // the browser has left if this fails
	return nil
}

// checkData is all that a browser needs to check a bill. Intervals come in runs
// without holes.
type checkData struct {
	Document string     `json:"document"`
	Meter    string     `json:"meter"`
	Keys     string     `json:"keys"`
	Log      string     `json:"log"`
	Secret   string     `json:"secret"`
	Change   string     `json:"change"`
	Days     []checkDay `json:"days"`
	Runs     []checkRun `json:"runs"`
}

// checkDay is a local day: its number from 1970-01-01, and when it begins.
type checkDay [2]int64

type checkRun struct {
	Start   int64   `json:"start"`
	Seconds int64   `json:"seconds"`
	Import  []int64 `json:"import"`
	Export  []int64 `json:"export"`
	Quality []int   `json:"quality"`
}

func checkFile(v *visit, b *consumer.Bill) ([]byte, error) {
	e, err := v.s.cfg.TTP.BillEnergy(v.r.Context(), v.meter.Name, *b)
	if err != nil {
		return nil, err
	}
	keys, err := v.s.cfg.TTP.BillKeysFor(v.r.Context(), v.meter.Name)
	if err != nil {
		return nil, err
	}
	document, err := b.Document.Text()
	if err != nil {
		return nil, err
	}
	d := checkData{
		Document: string(document), Meter: v.meter.Name.String(), Keys: string(keys.JWKS), Log: keys.Log, Secret: e.Secret.Text(),
		Change: string(e.Change), Runs: []checkRun{},
	}
	for i := range e.Days.Len() {
		d.Days = append(d.Days, checkDay{e.Days.Day(i), e.Days.Begin(i)})
	}
	for _, i := range e.Intervals {
		n := len(d.Runs)
		if n == 0 || d.Runs[n-1].Seconds != i.End-i.Start || d.Runs[n-1].end() != i.Start {
			d.Runs = append(d.Runs, checkRun{Start: i.Start, Seconds: i.End - i.Start})
			n++
		}
		r := &d.Runs[n-1]
		r.Import, r.Export, r.Quality = append(r.Import, int64(i.Import)), append(r.Export, int64(i.Export)), append(r.Quality, int(i.Quality))
	}
	return json.Marshal(d)
}

func (r *checkRun) end() int64 { return r.Start + r.Seconds*int64(len(r.Import)) }
