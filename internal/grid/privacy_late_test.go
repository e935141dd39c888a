package grid

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/invoice"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/wire"
)

// In a world with late readings the bills of the first two weeks have estimated
// intervals. The bill after them corrects the first and carries the difference
// of the second.

// lateHours are the hours of a Wednesday whose messages come late. Where all of
// them do, three bands lack readings and the bill changes when they come; the
// morning's are of one band, so that no line tells what was estimated.
var lateHours = map[int]hours{0: {0, 24}, 1: {6, 12}, 3: {0, 24}, 4: {6, 12}}

// hours of a day, without the first moment and with the last.
type hours struct{ after, upTo float64 }

// lateDays are the Wednesdays, counted from the start.
var lateDays = []int{2, 9}

// lateDay is the day on which what is late comes.
const lateDay = 15

// estimates tells whether an interval counts where another day is estimated:
// gaps are on working days.
func (w *world) estimates(at time.Time) bool {
	weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
	return w.late && !weekend
}

// lateMeter keeps some messages until their weeks are billed.
type lateMeter struct {
	meter.Link
	played *played
	hours  hours
	held   [][]byte
}

func (m *lateMeter) isLate(now time.Time) bool {
	return slices.ContainsFunc(lateDays, func(day int) bool {
		hour := now.Sub(m.played.day(day)).Hours()
		return hour > m.hours.after && hour <= m.hours.upTo
	})
}

// Publish implements meter.Link.
func (m *lateMeter) Publish(ctx context.Context, frame []byte) error {
	if wire.Type(frame[0]) == wire.TypeData && m.isLate(m.played.now()) {
		m.held = append(m.held, bytes.Clone(frame))
		return nil
	}
	if err := m.Link.Publish(ctx, frame); err != nil || m.played.early() {
		return err
	}
	for _, late := range m.held {
		if err := m.Link.Publish(ctx, late); err != nil {
			return fmt.Errorf("hand over late: %w", err)
		}
	}
	m.held = nil
	return nil
}

// early tells whether late readings are still to come.
func (p *played) early() bool { return p.now().Before(p.day(lateDay)) }

// loseReceipts has no receipt reach a meter while readings are to be late: it
// would ask for them.
func loseReceipts(c *call) (int, []byte, error) {
	status, answer, err := c.send(c.body)
	if err != nil || status != http.StatusOK || !c.is(TTPOrg, "POST /v1/messages") || !c.played.late || !c.played.early() {
		return status, answer, err
	}
	messages, err := wire.ParseMessages(c.body)
	if err != nil {
		return 0, nil, err
	}
	got, err := wire.ParseMessageAnswer(answer, len(messages))
	if err != nil {
		return 0, nil, err
	}
	got.Receipts = nil
	return status, got.Append(nil), nil
}

// mustHaveCorrections demands that the bills are what they are compared for.
func mustHaveCorrections(t *testing.T, p *played) {
	t.Helper()
	var estimated, corrects, carries int
	for _, k := range p.kept {
		b := p.content(t, k.JWS)
		if b.Estimated > 0 {
			estimated++
		}
		if b.Corrects != "" {
			corrects++
		}
		if b.Carries != "" {
			carries++
		}
	}
	if estimated != 8 || corrects != 2 || carries != 2 {
		t.Errorf("%d bills have estimates, %d correct another, %d carry a difference; want 8, 2 and 2", estimated, corrects, carries)
	}
}

func (p *played) content(t *testing.T, jws string) bill.Bill {
	t.Helper()
	verified, err := bill.Verify(jws, p.keys)
	if err != nil {
		t.Fatal(err)
	}
	return verified.Bill
}

// invoices adds what the utility prints from the bills that it keeps. What is
// random in a bill is replaced before it is printed, so that code, hashes and
// attached file depend on the rest alone.
func (p *played) invoices(t *testing.T, v view) {
	t.Helper()
	language, err := invoice.ParseLanguage("en")
	if err != nil {
		t.Fatal(err)
	}
	plain := make(map[string]string) // the text in the place of a bill's, by its hash
	earlier := make(map[wattveil.MeterID][]invoice.Earlier)
	for _, k := range p.kept {
		sum := sha256.Sum256([]byte(k.Meter.String() + plainJWS(k.JWS)))
		jws := base64.RawURLEncoding.EncodeToString(sum[:])
		plain[bill.HashOf(k.JWS).String()] = bill.HashOf(jws).String()
		b := p.content(t, k.JWS)
		b.Subject, b.ReadingsRoot = "", ""
		b.Corrects, b.Carries = plain[b.Corrects], plain[b.Carries]
		printed := invoice.Invoice{
			Bill: b, Document: bill.Document{JWS: jws}, Meter: k.Meter,
			Earlier: earlier[k.Meter], URL: "https://portal.example/check",
		}
		if p.leak.invoice != nil {
			p.leak.invoice(p, p.home(k.Pseudonym), &printed)
		}
		p.print(t, v, &language, &printed)
		earlier[k.Meter] = append(earlier[k.Meter], invoice.Earlier{Bill: b, JWS: jws})
	}
}

func (p *played) print(t *testing.T, v view, language *invoice.Language, printed *invoice.Invoice) {
	t.Helper()
	html, err := language.HTML(printed)
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := language.PDF(printed)
	if err != nil {
		t.Fatal(err)
	}
	name := printed.Name()
	for line := range strings.Lines(string(html)) {
		v.add("invoices", "%s.html: %s", name, line)
	}
	v.add("invoices", "%s.pdf: %d bytes, SHA-256 %x", name, len(pdf), sha256.Sum256(pdf))
}

// tellEstimates has the TTP tell what passed while readings were missing.
func tellEstimates(c *call) (int, []byte, error) {
	status, answer, err := loseReceipts(c)
	if err != nil || !c.is(TTPOrg, "POST /v1/bills") {
		return status, answer, err
	}
	from, to := c.played.day(2).Add(6*time.Hour), c.played.day(2).Add(12*time.Hour+testResolution.Duration())
	sums := []int64{c.played.imported(1, from, to), c.played.imported(4, from, to)}
	c.played.logger(TTPOrg).Info("bills made", "estimated_wh", sums)
	c.header.Set("X-Estimated", fmt.Sprint(sums))
	return status, answer, nil
}

// printDay prints the energy of a day.
func printDay(p *played, home int, v *invoice.Invoice) {
	v.Customer = append(v.Customer, fmt.Sprintf("7 March: %d Wh", p.imported(home, p.day(5), p.day(6))))
}

// imported is what a household takes in a time.
func (w *world) imported(home int, from, to time.Time) (sum int64) {
	for _, f := range w.loads[home][w.intervals(from):w.intervals(to)] {
		sum += f.imp
	}
	return sum
}
