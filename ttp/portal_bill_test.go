package ttp

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/vee"
	"github.com/wattveil/wattveil/wire"
)

// withBill is a portal with a meter that has a bill of May with a gap in it,
// which is in the log and cosigned, and its consumer before a browser.
func withBill(t *testing.T) (*portalRig, *smart, *browser) {
	t.Helper()
	process := chromium(t)
	p := newPortalRig(t)
	m := p.company.keyed(7)
	p.clock.add(presently.Sub(start))
	p.billMay(m)
	b := browse(t, process, p.serve())
	b.claim(m.code(1))
	return p, m, b
}

// billMay fills a meter up to the present, but for a gap, and bills and
// cosigns May.
func (p *portalRig) billMay(m *smart) {
	p.t.Helper()
	may, june := time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 1, 0, 0, 0, 0, p.zone)
	gap := may.Add(9*24*time.Hour + 5*time.Hour)
	p.fill(m.name, 3, quarter, may.AddDate(0, -1, 0), presently, func(at int64) bool { return at > gap.Unix() && at < gap.Add(2*time.Hour).Unix() })
	answer, err := p.company.ask(wire.BillsRequest{Tariff: "wattveil-three-band", From: may, To: june, Meters: []string{m.name.Pseudonym.String()}})
	must(p.t, err)
	if answer.Bills[0].Class != "" {
		p.t.Fatalf("no bill of May: %s %s", answer.Bills[0].Class, answer.Bills[0].Rule)
	}
	keys, err := p.logKeys("")
	must(p.t, err)
	w, err := transparency.OpenWitness(p.t.TempDir(), "north.example", keys.Origin, keys.Log)
	must(p.t, err)
	text, err := w.Cosign([]byte(answer.Checkpoint), 0, answer.Consistency)
	must(p.t, err)
	body, err := json.Marshal(wire.CosignedCheckpoint{Witness: w.PublicKey(), Checkpoint: string(text)})
	must(p.t, err)
	_, err = p.handleCheckpoint(p.t.Context(), p.company.number, body)
	must(p.t, err)
}

// checkBill opens the newest bill, presses the button, and gives what was found.
func (b *browser) checkBill() string {
	b.t.Helper()
	b.open("/m/" + strings.Split(b.path(), "/")[2] + "/bills")
	b.press("tbody a")
	b.click("[data-check] button")
	b.until(`document.body.dataset.bill`)
	return eval[string](b, `document.body.dataset.bill`)
}

func TestPortalVerifiesBill(t *testing.T) {
	p, m, b := withBill(t)
	if found := b.checkBill(); found != "holds" {
		t.Fatalf("a sound bill: %s: %s", found, eval[string](b, `document.querySelector(".checks").innerText`))
	}
	rows := eval[string](b, `document.querySelector(".checks").innerText`)
	if n := strings.Count(rows, ": holds"); n != 9 || strings.Contains(rows, "not be checked") {
		t.Errorf("%d rows hold, want 9:\n%s", n, rows)
	}
	b.noStrangers()
	size := 0
	for _, path := range []string{b.path(), b.path() + "/check.json", "/static/portal.css", "/static/bill.js", "/static/verify.js", "/static/icon.svg"} {
		got := p.ask("GET", path, "", b.cookies())
		if got.status != 200 {
			t.Errorf("%s: status %d", path, got.status)
		}
		size += len(got.body)
	}
	if size > 150_000 {
		t.Errorf("the page has %d bytes with everything", size)
	}

	p.checkOnPaper(m, b)

	// Readings that the bill was not made from.
	_, err := p.db.Exec(`UPDATE bills SET secret = ?`, p.seal.Seal(secretContext, make([]byte, 32)))
	must(t, err)
	if found := b.checkBill(); found != "root" {
		t.Errorf("with other readings: %s", found)
	}
	// A proof of another bill.
	_, err = p.db.Exec(`UPDATE bills SET salt = zeroblob(16)`)
	must(t, err)
	if found := b.checkBill(); found != "subject" {
		t.Errorf("of another meter: %s", found)
	}
	// An amount that was changed after it was signed.
	var jws string
	must(t, p.db.QueryRow(`SELECT jws FROM bills WHERE uc = ? AND an_id = ?`, m.name.UC, int64(m.name.Pseudonym)).Scan(&jws))
	parts := strings.Split(jws, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	content, err := contentOf(jws)
	must(t, err)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.ReplaceAll(string(payload), `"total":"`+content.Total, `"total":"1`+content.Total)))
	_, err = p.db.Exec(`UPDATE bills SET jws = ?`, strings.Join(parts, "."))
	must(t, err)
	if found := b.checkBill(); found != "signature" {
		t.Errorf("with another total: %s", found)
	}
	if words := eval[string](b, `document.querySelector("[data-check] .outcome").innerText`); !strings.Contains(words, "does not hold") {
		t.Errorf("a tampered bill is told as %q", words)
	}
}

// checkOnPaper opens the page that the code on a printed bill leads to.
func (p *portalRig) checkOnPaper(m *smart, b *browser) {
	p.t.Helper()
	back := b.path()
	list, err := p.Consumers().Bills(p.t.Context(), m.name)
	must(p.t, err)
	b.open("/check#" + list[0].Document.JWS)
	b.until(`document.body.innerText.includes("` + list[0].Content.Total + `")`)
	b.noStrangers()
	b.open(back)
}

// TestPortalBillFilesAreEnoughToVerify: what a consumer downloads is what "bill
// verify" takes, and all agrees.
func TestPortalBillFilesAreEnoughToVerify(t *testing.T) {
	p, _, b := withBill(t)
	b.open("/m/" + strings.Split(b.path(), "/")[2] + "/bills")
	b.press("tbody a")
	page, cookies := b.path(), b.cookies()
	file := func(name string) []byte {
		got := p.ask("GET", page+"/"+name, "", cookies)
		if got.status != 200 {
			t.Fatalf("%s: status %d %s", name, got.status, got.class)
		}
		return []byte(got.body)
	}
	keys, err := bill.ParseKeySet(file("keys.json"))
	must(t, err)
	document, err := bill.ParseDocument(file("bill.json"))
	must(t, err)
	verified, err := bill.Verify(document.JWS, keys)
	must(t, err)
	logKeys, err := transparency.ParseKeys(file("log.json"))
	must(t, err)
	entry, err := document.Entry()
	must(t, err)
	must(t, transparency.Proof(*document.Proof).Verify(transparency.Entry(entry), logKeys))
	terms, err := tariff.Parse(file("tariff.json"))
	must(t, err)
	opening, err := check.ParseOpening(file("secret.json"))
	must(t, err)
	for _, name := range []string{"intervals.csv", "registers.csv"} {
		list, err := check.ParseReadings(file(name))
		must(t, err)
		report, err := check.Recompute(check.Input{Bill: check.Shown{Bill: verified.Bill}, Tariff: terms, Readings: list, Opening: &opening})
		must(t, err)
		if !report.OK() || len(report.Unchecked) != 0 || len(report.Days) != 31 {
			t.Errorf("%s: differences %v, not checked %v, %d days", name, report.Differences, report.Unchecked, len(report.Days))
		}
		for _, d := range report.Days {
			if !d.Agree {
				t.Errorf("%s: %s is from other readings", name, d.Date)
			}
		}
	}
	if pdf := file("bill.pdf"); !strings.HasPrefix(string(pdf), "%PDF-") || !strings.Contains(string(pdf), "%%EOF") {
		t.Error("no PDF")
	}
}

func TestBillsOfAMeter(t *testing.T) {
	p := newPortalRig(t)
	m := p.company.keyed(7)
	p.clock.add(presently.Sub(start))
	p.billMay(m)
	list, err := p.Consumers().Bills(t.Context(), m.name)
	must(t, err)
	if len(list) != 1 || list[0].Content.Estimated != 8 || list[0].From.Format(time.DateOnly) != "2026-05-01" || list[0].Document.Proof == nil {
		t.Fatalf("%d bills, %d intervals estimated", len(list), list[0].Content.Estimated)
	}
	energy, err := p.Consumers().BillEnergy(t.Context(), m.name, list[0])
	must(t, err)
	if !energy.Same || len(energy.Intervals) != list[0].Content.Intervals || len(energy.Leaves) != 31 {
		t.Errorf("same %v, %d intervals, %d days", energy.Same, len(energy.Intervals), len(energy.Leaves))
	}
	// What came in time changes nothing; another meter has none of it.
	other := p.company.keyed(8)
	if list, err := p.Consumers().Bills(t.Context(), other.name); err != nil || len(list) != 0 {
		t.Errorf("another meter has %d bills, %v", len(list), err)
	}
	if _, err := p.Consumers().BillEnergy(t.Context(), other.name, list[0]); err == nil {
		t.Error("another meter's bill gives away its secret")
	}
}

func TestAskedTellsAll(t *testing.T) {
	p := newPortalRig(t)
	m := p.company.keyed(7)
	p.clock.add(presently.Sub(start))
	p.billMay(m)
	for range 3 { // overlaps with May
		answers, _, err := p.company.bills("wattveil-three-band", time.Date(2026, 5, 10, 0, 0, 0, 0, p.zone), time.Date(2026, 6, 10, 0, 0, 0, 0, p.zone), m.name.Pseudonym.String())
		must(t, err)
		if answers[0].Class != wire.Gated {
			t.Fatalf("an overlapping bill: %q", answers[0].Class)
		}
	}
	a, err := p.Consumers().Asked(t.Context(), m.name)
	must(t, err)
	list, err := p.Consumers().Bills(t.Context(), m.name)
	must(t, err)
	if len(a.List) != 2 || a.Who != "energy.example" || len(a.Limits) != 0 {
		t.Fatalf("%d disclosures to %s, %d limits", len(a.List), a.Who, len(a.Limits))
	}
	if d := a.List[0]; d.Kind != "bill" || len(d.Told) == 0 || d.Bill != list[0].Ref {
		t.Errorf("the bill is told as %+v", d)
	}
	if d := a.List[1]; d.Kind != "refusal" || d.Rule != string(gate.Overlap) || d.Times != 3 || d.Bill != "" {
		t.Errorf("the refusal is told as %+v", d)
	}
	must(t, p.SetGate(t.Context(), "energy.example", gate.Settings{BillsPerYear: 26}))
	a, err = p.Consumers().Asked(t.Context(), m.name)
	must(t, err)
	if len(a.Limits) != 1 || a.Limits[0].Name != "bills_per_year" || a.Limits[0].Set != "26" || a.Limits[0].Else != "14" {
		t.Errorf("limits %v", a.Limits)
	}
}

// TestPortalChecksBillOfErasedReadings: a bill whose readings were erased is
// not called wrong, and what is left of them is given.
func TestPortalChecksBillOfErasedReadings(t *testing.T) {
	process := chromium(t)
	p, m := billed(t)
	p.disown(m.name)
	b := browse(t, process, p.serve())
	b.claim(m.code(1))
	c := p.Consumers()
	must(t, c.Choose(t.Context(), m.name, consumer.Choices{Profile: consumer.Full, NoCorrections: true}))
	must(t, c.Erase(t.Context(), m.name, p.erasable(m.name).Until))
	list, err := c.Bills(t.Context(), m.name)
	must(t, err)
	home := "/m/" + strings.Split(b.path(), "/")[2]
	for i, intervals := range []int{0, 0, 4*96 + 88} { // February, March, and from 26 April at midnight UTC on
		page := home + "/bill/" + list[i].Ref
		b.open(page)
		b.click("[data-check] button")
		b.until(`document.body.dataset.bill`)
		rows := eval[string](b, `document.querySelector(".checks").innerText`)
		if found := eval[string](b, `document.body.dataset.bill`); found != "holds" || strings.Count(rows, "readings of this time were erased") != 2 {
			t.Errorf("the bill of %v: %s:\n%s", list[i].From, found, rows)
		}
		file := p.ask("GET", page+"/intervals.csv", "", b.cookies())
		if n := strings.Count(file.body, "\n") - 1; file.status != 200 || n != intervals {
			t.Errorf("the bill of %v has %d intervals left, status %d, want %d", list[i].From, n, file.status, intervals)
		}
	}
	// The rest of it is checked as ever.
	_, err = p.db.Exec(`UPDATE bills SET salt = zeroblob(16)`)
	must(t, err)
	b.open(home + "/bill/" + list[0].Ref)
	b.click("[data-check] button")
	b.until(`document.body.dataset.bill`)
	if found := eval[string](b, `document.body.dataset.bill`); found != "subject" {
		t.Errorf("of another meter: %s", found)
	}
}

// TestPortalRefusesOtherSums: without erasures and late readings, a bill whose
// readings come to something else does not hold.
func TestPortalRefusesOtherSums(t *testing.T) {
	p, m, b := withBill(t)
	may := time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone)
	gap := may.Add(9*24*time.Hour + 5*time.Hour)
	must(t, p.store.Erase(t.Context(), m.name, presently.Add(24*time.Hour).Truncate(24*time.Hour).Unix())) // not by the consumer
	p.fill(m.name, 5, quarter, may.AddDate(0, -1, 0), presently, func(at int64) bool { return at > gap.Unix() && at < gap.Add(2*time.Hour).Unix() })
	if found := b.checkBill(); found != "root" {
		t.Errorf("with readings of another home: %s", found)
	}
	if rows := eval[string](b, `document.querySelector(".checks").innerText`); !strings.Contains(rows, "✗ Energy is the sum of the readings") {
		t.Errorf("other sums are told as:\n%s", rows)
	}
}

// TestPortalExcusesEstimatesAlone: reference days that came after a bill change
// its estimates, and not what they sum to.
func TestPortalExcusesEstimatesAlone(t *testing.T) {
	process := chromium(t)
	p, m := billed(t)
	p.disown(m.name)
	b := browse(t, process, p.serve())
	b.claim(m.code(1))
	_, err := p.db.Exec(`UPDATE bills SET secret = ?`, p.seal.Seal(secretContext, make([]byte, 32))) // the root is another
	must(t, err)
	found := b.checkBill()
	rows := eval[string](b, `document.querySelector(".checks").innerText`)
	if found != "holds" || !strings.Contains(rows, "exactly these readings: not checked: readings have come since") || !strings.Contains(rows, "✓ Energy is the sum") {
		t.Errorf("other estimates: %s:\n%s", found, rows)
	}
	must(t, p.store.Erase(t.Context(), m.name, presently.Add(24*time.Hour).Truncate(24*time.Hour).Unix())) // not by the consumer
	p.fill(m.name, 5, quarter, month(p, 2), presently, someMissing)
	if found := b.checkBill(); found != "energy" {
		t.Errorf("with readings of another home: %s", found)
	}
}

// TestLateReadingsExcuseABill: readings that fill a gap of a bill are told as
// late.
func TestLateReadingsExcuseABill(t *testing.T) {
	p := newPortalRig(t)
	m := p.company.keyed(7)
	p.clock.add(presently.Sub(start))
	p.billMay(m)
	list, err := p.Consumers().Bills(t.Context(), m.name)
	must(t, err)
	p.fill(m.name, 3, quarter, list[0].From.AddDate(0, -1, 0), presently, nil)
	energy, err := p.Consumers().BillEnergy(t.Context(), m.name, list[0])
	must(t, err)
	if energy.Same || energy.Change != consumer.BillLate {
		t.Errorf("late readings: same %v, change %q", energy.Same, energy.Change)
	}
}

func TestBillChange(t *testing.T) {
	valid, reference, linear := vee.Valid, vee.EstimatedReference, vee.EstimatedLinear
	for _, c := range []struct {
		name                 string
		quality              []vee.Quality
		estimated            int
		gaps                 []gate.Gap
		intervals, estimates int // of the bill
		want                 consumer.BillChange
	}{
		{"all measured", []vee.Quality{valid, valid}, 0, nil, 2, 0, ""},
		{"a line", []vee.Quality{valid, linear}, 1, []gate.Gap{{From: 900, To: 1800}}, 2, 1, ""},
		{"estimates filled", []vee.Quality{valid, valid}, 0, nil, 2, 1, consumer.BillLate},
		{"a hole filled", []vee.Quality{valid, valid}, 0, nil, 1, 0, consumer.BillLate},
		{"reference days", []vee.Quality{valid, reference}, 1, nil, 2, 1, consumer.BillEstimates},
		{"a reading between gaps", []vee.Quality{linear, linear}, 2, []gate.Gap{{From: 0, To: 900}, {From: 900, To: 1800}}, 2, 2, consumer.BillEstimates},
		{"gaps apart", []vee.Quality{linear, valid, linear}, 2, []gate.Gap{{From: 0, To: 900}, {From: 1800, To: 2700}}, 3, 2, ""},
		{"intervals gone", []vee.Quality{valid, reference}, 1, nil, 3, 1, ""},
		{"more estimated than billed", []vee.Quality{valid, reference}, 1, nil, 2, 0, ""},
	} {
		m := metered{known: make([]wattveil.Interval, len(c.quality)), quality: c.quality, estimated: c.estimated, gaps: c.gaps}
		if got := m.changeSince(bill.Bill{Intervals: c.intervals, Estimated: c.estimates}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
