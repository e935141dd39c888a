package ttp

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/wire"
)

// Two households whose bill lines are equal, estimates, corrections and refusals
// included, look the same to the utility: the TTP's answers and its log are
// equal, once hashes, salts, signatures and proofs are replaced by their
// lengths (spec/threats.md section 2).
func TestBillsTellNoMoreThanTheirLines(t *testing.T) {
	one, logOne := billLife(t, false)
	other, logOther := billLife(t, true)
	if len(one) != len(other) {
		t.Fatalf("%d and %d answers", len(one), len(other))
	}
	corrected, estimated := false, false
	for i := range one {
		if one[i] != other[i] {
			t.Errorf("answer %d:\n%s\n%s", i, one[i], other[i])
		}
		corrected = corrected || regexp.MustCompile(`"correction":`).MatchString(one[i])
		estimated = estimated || regexp.MustCompile(`"estimated":3[0-9]`).MatchString(one[i])
	}
	if !corrected || !estimated {
		t.Errorf("corrected %v, estimated %v: the runs show little", corrected, estimated)
	}
	if logOne != logOther {
		t.Errorf("the TTP logs\n%s\nand\n%s", logOne, logOther)
	}
}

// billLife bills a meter for three months, with readings that come late, and
// asks for what is refused. moved swaps energies of intervals of one day and
// band, where nothing is estimated from them.
func billLife(t *testing.T, moved bool) (answers []string, log string) {
	t.Helper()
	r := newRig(t, nil)
	c := r.company("north.example")
	must(t, c.putTariffNow(twoBands))
	feb, mar, apr, may := date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
	first, last := date(2026, 2, 10), date(2026, 2, 11).Add(12*time.Hour)
	m := c.ledger(1, 3600, feb.Add(-time.Hour).Unix())
	imp, exp := wattveil.Register(1000), wattveil.Register(1000)
	for at := m.next; at <= may.Add(2*time.Hour).Unix(); at += m.step {
		r := wattveil.Reading{Time: at, Import: imp, Export: exp}
		if between(first, last)(at) {
			m.held = append(m.held, r)
		} else {
			m.store([]wattveil.Reading{r})
		}
		local := unixTime(at).In(feb.Location())
		hour := local.Hour()
		wh := 100 + 37*((hour+local.Day())%5)
		// Days that the estimates are made from stay as they are; in the others
		// hours of one band change places.
		if free := local.Month() != time.February; moved && free {
			hour = map[bool]int{true: hour ^ 1, false: hour}[hour >= 8 && hour < 22]
			wh = 100 + 37*((hour+local.Day())%5)
		}
		imp, exp = imp.Add(wattveil.Wh(wh)), exp.Add(wattveil.Wh(hour%3))
	}
	ask := func(from, to time.Time) {
		out, err := c.ask(wire.BillsRequest{Tariff: "two", From: from, To: to, Meters: []string{m.id(), "0000000000000063"}})
		must(t, err)
		answers = append(answers, plainAnswer(t, c, m, out))
	}
	r.at(date(2026, 3, 2))
	ask(feb, mar)
	ask(feb, mar.Add(-time.Hour))
	m.deliver()
	r.at(date(2026, 4, 2))
	ask(mar, apr)
	r.at(date(2026, 5, 2))
	ask(apr, may)
	ask(date(2026, 4, 30), date(2026, 5, 30))
	return answers, regexp.MustCompile(`time=\S+ `).ReplaceAllString(r.log.String(), "")
}

// plainAnswer writes an answer down as the utility sees it.
func plainAnswer(t *testing.T, c *company, m *ledger, out wire.BillsAnswer) string {
	t.Helper()
	plain := func(l wire.LoggedBill) string {
		if l.JWS == "" {
			return ""
		}
		b := c.content(l.JWS, l.Salt, m.name)
		b.Subject, b.ReadingsRoot = fmt.Sprint(len(b.Subject)), fmt.Sprint(len(b.ReadingsRoot))
		if b.Corrects != "" {
			b.Corrects = fmt.Sprint(len(b.Corrects))
		}
		if b.Carries != "" {
			b.Carries = fmt.Sprint(len(b.Carries))
		}
		text, err := json.Marshal(struct {
			bill.Bill
			Bytes, Salt, Index, Path int
		}{b, len(l.JWS), len(l.Salt), int(l.Index), len(l.Hashes)})
		must(t, err)
		return string(text)
	}
	text := fmt.Sprintf("checkpoint %d, consistency %d", len(out.Checkpoint), len(out.Consistency))
	for _, a := range out.Bills {
		text += fmt.Sprintf("; %s %q %q %s", a.Meter, a.Class, a.Rule, plain(a.LoggedBill))
		if a.Correction != nil {
			text += fmt.Sprintf(`, "correction": %s %v %v %s`, a.Correction.Tariff, a.Correction.From, a.Correction.To, plain(a.Correction.LoggedBill))
		}
	}
	return text
}
