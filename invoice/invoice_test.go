package invoice

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"html"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "time/tzdata"

	"github.com/wattveil/wattveil/bill"
	vectors "github.com/wattveil/wattveil/vectors/bill"
)

var update = flag.Bool("update", false, "write the golden files anew")

// published are the good bills of vectors/bill by name.
func published(t testing.TB) map[string]Earlier {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bill.ParseKeySet(v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	bills := make(map[string]Earlier)
	for _, b := range v.Bills {
		if b.Class == "" {
			verified, err := bill.Verify(b.JWS, keys)
			if err != nil {
				t.Fatal(err)
			}
			bills[b.Name] = Earlier{verified.Bill, b.JWS}
		}
	}
	return bills
}

// invoiceOf is an invoice of a published bill.
func invoiceOf(t testing.TB, name string) *Invoice {
	t.Helper()
	bills := published(t)
	v := &Invoice{
		Bill: bills[name].Bill, Document: bill.Document{JWS: bills[name].JWS, Salt: bill.Salt{}.String()}, Meter: 0x0f3a5c7e91b2d4f6, URL: "https://portal.example/check",
		Sender:   []string{"Example Energy", "Grid Lane 1", "3000 Bern"},
		Customer: []string{"Łucja Świątek & Söhne", "Gartenweg 12 <Hof>", "3008 Bern"},
	}
	if v.Document.JWS == "" {
		t.Fatalf("no published bill is named %q", name)
	}
	if name == "correction" {
		replaced := bills["credit"]
		v.Bill.Corrects = bill.HashOf(replaced.JWS).String()
		carried := bills["month"]
		carried.From, carried.To, carried.Total = "2018-02-01T00:00:00+01:00", "2018-03-01T00:00:00+01:00", "1234.50"
		v.Bill.Carries = bill.HashOf(carried.JWS).String()
		v.Earlier = []Earlier{carried, replaced}
	}
	return v
}

// goldens are the invoices whose whole text is in testdata.
func goldens() []string {
	return []string{"month", "correction", "hole", "components", "withheld", "part-of-months", "credit"}
}

func language(t testing.TB, tag string) *Language {
	t.Helper()
	l, err := ParseLanguage(tag)
	if err != nil {
		t.Fatal(err)
	}
	return &l
}

func TestPDFText(t *testing.T) {
	for _, name := range goldens() {
		for _, tag := range Languages() {
			out, err := language(t, tag).PDF(invoiceOf(t, name))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(readPDF(t, out).text, "\n") + "\n"
			file := filepath.Join("testdata", name+"."+tag+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s in %s says\n%s\nwant\n%s", name, tag, got, want)
			}
		}
	}
}

// words are all texts of a sheet in the order of the page.
func (s *sheet) texts() []string {
	list := append([]string{s.Title}, s.Customer...)
	list = append(list, s.Sender...)
	list = append(list, s.Title)
	for _, f := range s.Facts {
		list = append(list, f[:]...)
	}
	list = append(list, s.TotalLabel, s.TotalMoney)
	list = append(list, s.Heads[:]...)
	for _, r := range s.Rows {
		list = append(list, r.Item, r.Detail, r.Quantity, r.Price, r.Amount)
	}
	list = append(list, s.SumLabel, s.Sum)
	if len(s.Notes) > 0 {
		list = append(append(list, s.NotesTitle), s.Notes...)
	}
	list = append(list, s.Lines.Title)
	for _, b := range s.Lines.Bars {
		list = append(list, b.Label, b.Value)
	}
	if len(s.History.Bars) > 0 {
		list = append(list, s.History.Title)
	}
	for _, b := range s.History.Bars {
		list = append(list, b.Label, b.Value)
	}
	return append(list, s.Check.Title, s.Check.Text, s.Check.Address, s.Check.URL, s.Check.Open, s.Check.Save)
}

var tags = regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>`)

// The page says what the sheet has, in its order, and nothing else.
func TestHTMLText(t *testing.T) {
	plain := strings.NewReplacer(" ", "", "\n", "", "·", "")
	for name := range published(t) {
		for _, tag := range Languages() {
			l, v := language(t, tag), invoiceOf(t, name)
			s, err := l.sheet(v)
			if err != nil {
				t.Fatal(err)
			}
			out, err := l.HTML(v)
			if err != nil {
				t.Fatal(err)
			}
			got := plain.Replace(html.UnescapeString(tags.ReplaceAllString(string(out), "")))
			want := plain.Replace(strings.Join(append([]string{s.Title, "–", s.Facts[0][1]}, s.texts()[1:]...), ""))
			if got != want {
				t.Errorf("%s in %s says\n%s\nwant\n%s", name, tag, got, want)
			}
		}
	}
}

// The page loads nothing, and its links are the bill's.
func TestHTMLLinks(t *testing.T) {
	v := invoiceOf(t, "components")
	out, err := language(t, "en").HTML(v)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, m := range regexp.MustCompile(`(?:href|src|url|srcset|action)\s*[=(]\s*"?([^">\s)]*)`).FindAllStringSubmatch(string(out), -1) {
		links = append(links, html.UnescapeString(m[1]))
	}
	file, err := v.Document.Text()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{v.URL + "#" + v.Document.JWS, "data:application/json;base64," + base64.StdEncoding.EncodeToString(file)}
	if fmt.Sprint(links) != fmt.Sprint(want) {
		t.Errorf("links %v, want %v", links, want)
	}
	if strings.Contains(string(out), "<script") || strings.Contains(string(out), "ZgotmplZ") {
		t.Error("the page has a script, or a link that the template has refused")
	}
}

// The same invoice is the same file, and the PDF holds the signed bill.
func TestSameBytes(t *testing.T) {
	for name := range published(t) {
		l, v := language(t, "de"), invoiceOf(t, name)
		for format, print := range map[string]func(*Invoice) ([]byte, error){"HTML": l.HTML, "PDF": l.PDF} {
			first, err := print(v)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if again, err := print(v); err != nil || !bytes.Equal(first, again) {
					t.Errorf("%s of %s is another one the second time, %v", format, name, err)
				}
			}
			if format == "PDF" {
				p := readPDF(t, first)
				if d, err := bill.ParseDocument([]byte(p.attached)); err != nil || d.JWS != v.Document.JWS || len(p.targets) == 0 || p.targets[0] != v.target() {
					t.Errorf("%s: attached is %.20q…, the first link %.60q…", name, p.attached, p.targets)
				}
			}
		}
	}
}

// A code holds 2,953 bytes and not one more; without one the invoice says so.
func TestLongestCode(t *testing.T) {
	l, v := language(t, "en"), invoiceOf(t, "month")
	for _, tt := range []struct {
		bytes, modules int
		says           string
	}{
		{codeRoom, 177 + 8, "The code holds the whole bill"},
		{codeRoom + 1, 0, "This bill has 2,954 characters with its address, and a code holds at most 2,953. So there is no code here."},
	} {
		v.Document.JWS = strings.Repeat("x", tt.bytes-len(v.URL)-1)
		c, err := l.check(v)
		if err != nil || c.modules != tt.modules || !strings.HasPrefix(c.Text, tt.says) {
			t.Errorf("%d bytes: %d modules, %q, %v", tt.bytes, c.modules, c.Text, err)
		}
		if tt.modules == 0 {
			continue
		}
		img, err := png.Decode(bytes.NewReader(c.Code))
		if err != nil || img.Bounds().Dx() != 4*tt.modules {
			t.Errorf("%d bytes: image %v, %v", tt.bytes, img.Bounds(), err)
		}
	}
}

func TestRefuses(t *testing.T) {
	l := language(t, "en")
	for _, url := range []string{"", "portal", "ftp://portal.example/", "https://", "https://portal.example/#x", "javascript:alert(1)", "https://" + strings.Repeat("x", 200)} {
		v := invoiceOf(t, "flat")
		v.URL = url
		if _, err := l.HTML(v); err == nil {
			t.Errorf("HTML with the page %q", url)
		}
		if _, err := l.PDF(v); err == nil {
			t.Errorf("PDF with the page %q", url)
		}
	}
	v := invoiceOf(t, "flat") // in CHF
	v.Earlier = []Earlier{published(t)["no-decimals"]}
	if _, err := l.PDF(v); err == nil || err.Error() != "an earlier bill is in JPY, this one in CHF" {
		t.Errorf("bills in two currencies: %v", err)
	}
	if _, err := ParseLanguage("fr"); err == nil || err.Error() != `"fr": want one of en, de, de-CH` {
		t.Errorf("a language that there is not: %v", err)
	}
}

func TestName(t *testing.T) {
	v := invoiceOf(t, "month")
	hash := bill.HashOf(v.Document.JWS)
	if got, want := v.Name(), fmt.Sprintf("0f3a5c7e91b2d4f6_2018-03-01_%x", hash[:4]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func BenchmarkInvoice(b *testing.B) {
	l, v := language(b, "de-CH"), invoiceOf(b, "correction")
	for format, print := range map[string]func(*Invoice) ([]byte, error){"HTML": l.HTML, "PDF": l.PDF} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := print(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Nothing of the facts and of the footer is cut, whatever the period.
func TestPDFCutsNoFact(t *testing.T) {
	v := invoiceOf(t, "month")
	v.Bill.From, v.Bill.To = "2026-09-15T12:00:00+02:00", "2026-12-29T12:00:00+01:00"
	v.Bill.Timezone = "Europe/Zurich"
	v.Bill.Tariff = strings.Repeat("long-name-", 6) + "end"
	v.Bill.Issuer = strings.Repeat("w", 60) + ".example"
	for _, tag := range Languages() {
		l := language(t, tag)
		s, err := l.sheet(v)
		if err != nil {
			t.Fatal(err)
		}
		out, err := l.PDF(v)
		if err != nil {
			t.Fatal(err)
		}
		pieces := readPDF(t, out).text
		text := strings.Join(pieces, "")
		for _, f := range s.Facts {
			if !strings.Contains(strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(f[1], " ", "")) {
				t.Errorf("%s: %s is cut: %q", tag, f[0], f[1])
			}
		}
		if footer := s.Title + " · " + s.Facts[0][1]; !slices.Contains(pieces, footer) {
			t.Errorf("%s: the footer %q is cut", tag, footer)
		}
	}
}
