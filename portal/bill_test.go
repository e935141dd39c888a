package portal

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
)

func TestBillInWords(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	list := textOf(get(s, "/m/"+fakeRef+"/bills", session).Body.String())
	if want := "1 June 2026 – 2 June 2026 wattveil-three-band estimated in part 12.000 kWh CHF 3.78"; !strings.Contains(list, want) {
		t.Errorf("the list does not say %q:\n%s", want, list)
	}
	text := textOf(get(s, "/m/"+fakeRef+"/bill/"+fakeBillRef, session).Body.String())
	for _, want := range []string{
		"Bill of 1 June 2026 – 2 June 2026", "Total CHF 3.78", "From the grid day 12.000 kWh CHF 0.2680 CHF 3.22", "Standing charge 2 days CHF 0.14 CHF 0.28",
		"2 of its 48 intervals are estimated", "wattveil bill verify --key 2026-06-01-keys.json --tariff 2026-06-01-tariff.json --readings 2026-06-01-intervals.csv --secret 2026-06-01-secret.json 2026-06-01-bill.json",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the bill does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "Readings have come since") || strings.Contains(text, "stands in its place") {
		t.Error("the bill tells of changes that there are none of")
	}
	first := f.billed
	f.billed = newFakeBill(f.meters[0].Name, func(b *bill.Bill) {
		b.Carries, b.UnbilledSeconds = bill.HashOf("other").String(), 7200
		b.ImportKWh, b.Lines[0].Quantity, b.Lines[0].Price, b.Lines[0].Withheld, b.Lines[0].Series = "", "", "", "reveal", bill.HashOf("series").String()
	})
	f.billed.energy.Same, f.billed.energy.Change = false, consumer.BillLate
	text = textOf(get(s, "/m/"+fakeRef+"/bill/"+fakeBillRef, session).Body.String())
	for _, want := range []string{"The difference is in the quantities", "For 2 hours of this time", "not told hour by hour", "Readings have come since"} {
		if !strings.Contains(text, want) {
			t.Errorf("the bill does not say %q:\n%s", want, text)
		}
	}
	f.billed.energy.Change = ""
	text = textOf(get(s, "/m/"+fakeRef+"/bill/"+fakeBillRef, session).Body.String())
	if !strings.Contains(text, "though nothing of it was erased") || strings.Contains(text, "Readings have come since") {
		t.Error("readings that are others for no reason are excused")
	}
	f.billed = first
}

func TestBillOfErasedReadings(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	f.billed.energy.Same, f.billed.energy.Change = false, consumer.BillErased
	base := "/m/" + fakeRef + "/bill/" + fakeBillRef
	text := textOf(get(s, base, session).Body.String())
	for _, want := range []string{"only what is left", "--tariff 2026-06-01-tariff.json 2026-06-01-bill.json", "cannot be computed from them again"} {
		if !strings.Contains(text, want) {
			t.Errorf("the bill does not say %q:\n%s", want, text)
		}
	}
	if data := get(s, base+"/check.json", session).Body.String(); !strings.Contains(data, `"change":"erased"`) {
		t.Error("the browser is not told that readings were erased")
	}
}

func TestBillFiles(t *testing.T) {
	f := newFake()
	s, session := newServer(t, f)
	base := "/m/" + fakeRef + "/bill/" + fakeBillRef
	for name, want := range map[string]string{
		"bill.json":     `{"jws":"`,
		"secret.json":   `{"leaves":["` + f.billed.energy.Leaves[0].String() + `"`,
		"intervals.csv": "start,seconds,import_wh,export_wh,quality\n2026-05-31T22:00:00Z,3600,250,0,0\n",
		"registers.csv": "series,time,import_register_wh,export_register_wh,flags\n1,2026-04-26T22:00:00Z,1777240800,0,clock tamper 9\n",
		"tariff.json":   `{"currency":"CHF"`,
		"keys.json":     `{"keys":[`,
		"bill.pdf":      "%PDF-",
		"check.json":    `{"document":"{`,
	} {
		w := get(s, base+"/"+name, session)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%s: status %d, begins with %.80q", name, w.Code, w.Body.String())
		}
		if d := w.Header().Get("Content-Disposition"); d != `attachment; filename="2026-06-01-`+name+`"` {
			t.Errorf("%s is called %q", name, d)
		}
	}
	for _, path := range []string{base + "/other.txt", base + "/log.json", "/m/" + fakeRef + "/bill/none", "/m/" + fakeRef + "/bill/none/bill.json"} {
		if w := get(s, path, session); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), `data-class="no-bill"`) {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if !bytes.Contains(get(s, base+"/bill.pdf", session).Body.Bytes(), []byte("%%EOF")) {
		t.Error("the PDF does not end")
	}
	// What does not hold is not printed.
	f.billed.bill.Document.JWS += "x"
	if w := get(s, base+"/bill.pdf", session); w.Code != http.StatusNotFound {
		t.Errorf("a bill that does not hold is printed: status %d", w.Code)
	}
}

// What is printed of earlier bills is what an invoice has: of those that others
// replace the one alone that the printed one replaces.
func TestEarlierBills(t *testing.T) {
	at := func(month int) time.Time { return time.Date(2026, time.Month(month), 1, 0, 0, 0, 0, fakeZone) }
	made := func(ref, corrects string, month int, currency string) consumer.Bill {
		b := consumer.Bill{Ref: ref, From: at(month), To: at(month + 1), Document: bill.Document{JWS: ref}, Content: bill.Bill{Currency: currency}}
		if corrects != "" {
			b.Content.Corrects = bill.HashOf(corrects).String()
		}
		return b
	}
	list := []consumer.Bill{
		made("january", "", 1, "CHF"), made("january again", "january", 1, "CHF"), made("february", "", 2, "EUR"),
		made("march", "", 3, "CHF"), made("march again", "march", 3, "CHF"), made("april", "", 4, "CHF"),
	}
	for i, want := range []string{"", "january", "", "january again", "january again march", "january again march again"} {
		var got []string
		for _, b := range earlierBills(&list[i], list) {
			got = append(got, b.Ref)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("before %s come %q, want %q", list[i].Ref, got, want)
		}
	}
}

// policyInPage allows the page's own script and style, by their hashes, and no
// request.
var policyInPage = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-\S*&#39;; style-src &#39;sha256-\S*&#39;; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;">`)

// TestCheckPageAsksNobody: the page for bills on paper comes with the keys and a
// policy that forbids all requests.
func TestCheckPageAsksNobody(t *testing.T) {
	f := newFake()
	s, _ := newServer(t, f)
	w := get(s, "/check")
	body := w.Body.String()
	if w.Code != http.StatusOK || !policyInPage.MatchString(body) {
		t.Errorf("status %d, or the page's policy is another", w.Code)
	}
	if w.Header().Get("Content-Security-Policy") != "frame-ancestors 'none'" {
		t.Error("the page may be framed, or its script may not run")
	}
	if !strings.Contains(body, "OKP") {
		t.Error("the page has no keys")
	}
}
