package grid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/provision"
	"github.com/wattveil/wattveil/wire"
)

// Most of what a party says it says when something goes wrong. Here it does, at
// set hours of the first day, in every run alike.

// troubledMeter sends more than it should: each home, at an hour of its own,
// another thing that is refused.
type troubledMeter struct {
	meter.Link
	played *played
	home   int
	record provision.Record
	seen   map[wire.Type][]byte // the first frame of each type
}

// Publish implements meter.Link.
func (m *troubledMeter) Publish(ctx context.Context, frame []byte) error {
	t := wire.Type(frame[0])
	if m.seen[t] == nil {
		m.seen[t] = bytes.Clone(frame)
	}
	if err := m.Link.Publish(ctx, frame); err != nil {
		return err
	}
	if t != wire.TypeData || m.played.now().Sub(m.played.start()).Minutes() != float64(60*(6+m.home)) {
		return nil
	}
	return m.Link.Publish(ctx, m.badFrame(bytes.Clone(frame)))
}

// badFrame is what goes wrong in this home, made from a good data frame.
func (m *troubledMeter) badFrame(frame []byte) []byte {
	end := len(frame) - wire.TagSize
	again := func() []byte { return wire.NewTagger().Append(m.record.Secret.DataTagKey(), frame[:end]) }
	switch m.home {
	case 0: // the utility refuses the tag
		frame[end]++
		return frame
	case 1: // the TTP cannot open it
		frame[10]++ // of the counter, so that its place in the batch is not left to chance
		return again()
	case 2: // a repeat
		return frame
	case 3: // no such epoch
		frame[9] += 77
		return again()
	case 4: // an old registration request
		return m.seen[wire.TypeRegister]
	default: // the first M1 again
		return m.seen[wire.TypeM1]
	}
}

// troubled has servers away for a moment: the TTP at one o'clock, and at two, if
// there is to be an outage, a collector, which hears no answer to its post.
func troubled(c *call) (int, []byte, error) {
	switch hour := c.played.now().Sub(c.played.start()).Hours(); {
	case hour == 13 && c.played.trouble && c.is(TTPOrg, "POST /v1/messages"):
		return http.StatusServiceUnavailable, []byte("unavailable\n"), nil
	case hour == 14 && c.played.outage && c.from == "collector-2" && c.is(UtilityOrg, "POST /v1/forward"):
		if status, answer, err := c.send(c.body); err != nil {
			return status, answer, err
		}
		return http.StatusServiceUnavailable, []byte("unavailable\n"), nil
	}
	if leak := c.played.leak.behindTap; leak != nil {
		return leak(c)
	}
	return loseReceipts(c)
}

// askInVain asks for what the TTP refuses: a bill of days to come, one of a day
// that is billed, one by a
// tariff that nobody knows, one of a meter that nobody knows, and other terms
// for a tariff in force.
func (p *played) askInVain(ctx context.Context) error {
	u := p.grid.utilityRole()
	all := append([]wattveil.Pseudonym{1}, p.pseudonyms...)
	bills, err := u.RunBills(ctx, all, p.terms.ID(), p.start(), p.end().AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	for _, b := range bills {
		if b.Err == nil {
			return fmt.Errorf("a bill of %v for days to come", b.Pseudonym)
		}
	}
	// A day of what is billed already: the disclosure gate refuses it.
	bills, err = u.RunBills(ctx, all, p.terms.ID(), p.start(), p.start().AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	for _, b := range bills[1:] {
		if b.Rule != string(gate.Overlap) {
			return fmt.Errorf("a day that is billed already, of %v: %w", b.Pseudonym, b.Err)
		}
	}
	other, err := finer(p.terms)
	if err != nil {
		return err
	}
	document, err := other.MarshalJSON()
	if err != nil {
		return err
	}
	if _, err := u.PutTariff(ctx, document); err == nil {
		return errors.New("other terms for a tariff in force are taken")
	}
	if _, err := u.RunBills(ctx, all, "nobody-knows", p.start(), p.end()); err == nil {
		return errors.New("bills by a tariff that nobody knows")
	}
	return nil
}
