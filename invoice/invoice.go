// Package invoice prints a bill for the customer: as a page of HTML and as a
// PDF, with charts, notes, and a code that carries the signed bill to the page
// that checks it.
//
// It is pure: bills in, bytes out. Nothing in it is finer than a bill's own
// lines and the totals of earlier bills, since that is all that a utility has.
// The same bill in the same language always gives the same bytes.
package invoice

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// Invoice is what is printed. The bills must have passed bill.Verify.
type Invoice struct {
	Bill     bill.Bill
	Document bill.Document    // as the TTP signed it, with what shows that it is in the log
	Meter    wattveil.MeterID // 0 where it is not known, as at the TTP
	Sender   []string         // name and address of the utility, a line each
	Customer []string         // name and address; may be empty
	Earlier  []Earlier        // of the same meter and currency, in the order of their periods
	URL      string           // page that checks a bill; it gets the JWS after #
}

// Earlier is a bill that came before.
type Earlier struct {
	bill.Bill
	JWS string
}

// MaxEarlier is how many earlier bills a chart has room for.
const MaxEarlier = 12

// Limits of lines of text that come from elsewhere.
const (
	maxAddress = 8
	maxLine    = 100
)

// CheckAddress refuses the lines of a name and address that no invoice has
// room for.
func CheckAddress(lines []string) error {
	if len(lines) > maxAddress {
		return fmt.Errorf("%d lines of address, at most %d are printed", len(lines), maxAddress)
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > maxLine {
			return fmt.Errorf("the line %.20q… has %d characters, at most %d are printed", l, n, maxLine)
		}
		if strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			return fmt.Errorf("the line %.40q has characters that cannot be printed, or is not UTF-8", l)
		}
	}
	return nil
}

// CheckURL refuses what cannot be the page that checks bills.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not the address of a page: want one like https://portal.example/check", text)
	case strings.Contains(text, "#"):
		return fmt.Errorf("%q has a #: the bill comes after it", text)
	case len(text) > 200:
		return fmt.Errorf("it has %d bytes, at most 200 are allowed", len(text))
	}
	return nil
}

// Name is the name of an invoice's file, without its ending: the meter, the
// first day, and the beginning of the bill's hash in hexadecimal.
func (v *Invoice) Name() string {
	hash := bill.HashOf(v.Document.JWS)
	day, _, _ := strings.Cut(v.Bill.From, "T")
	return fmt.Sprintf("%v_%s_%s", v.Meter, day, hex.EncodeToString(hash[:4]))
}

// target is the address that carries the bill itself.
func (v *Invoice) target() string { return v.URL + "#" + v.Document.JWS }

// period is a bill's, by the clock of its tariff.
type period struct{ from, to time.Time }

func periodOf(b bill.Bill) (p period, err error) {
	zone, err := tariff.LoadZone(b.Timezone)
	if err != nil {
		return p, fmt.Errorf("zone of the bill: %w", err)
	}
	if p.from, err = time.Parse(time.RFC3339, b.From); err != nil {
		return p, fmt.Errorf("from of the bill: %w", err)
	}
	if p.to, err = time.Parse(time.RFC3339, b.To); err != nil {
		return p, fmt.Errorf("to of the bill: %w", err)
	}
	return period{p.from.In(zone), p.to.In(zone)}, nil
}

// days tells whether the period is of whole days.
func (p period) days() bool { return midnight(p.from) && midnight(p.to) }

func midnight(t time.Time) bool { h, m, s := t.Clock(); return h+m+s == 0 }

// month tells whether the period is a calendar month.
func (p period) month() bool {
	return p.days() && p.from.Day() == 1 && p.from.AddDate(0, 1, 0).Equal(p.to)
}
