package ttp

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/tariff"
)

// DisclosureKind is what was disclosed of a meter, or not.
type DisclosureKind string

// The kinds.
const (
	DisclosedBill       DisclosureKind = "bill"
	DisclosedCorrection DisclosureKind = "correction"
	DisclosedRefusal    DisclosureKind = "refusal"
	DisclosedUnsettled  DisclosureKind = "unsettled" // late readings changed a bill, and neither a correction nor a later bill may tell so
)

// Disclosure is one entry of a meter's log of disclosures, for its consumer. It
// holds no energy.
type Disclosure struct {
	Kind     DisclosureKind
	Tariff   string
	From, To time.Time
	Told     []string  // names of quantities and demand figures
	Withheld []string  // names of quantities, each with the rule behind a colon
	Rule     gate.Rule // of a refusal
	At, Last time.Time // first and last; they differ where a refused request came again
	Times    int
}

// disclose logs what a bill tells.
func (k *keeper) disclose(f *file, kind DisclosureKind, b *keptBill, d *gate.Decision, demand []gate.Demand) error {
	return k.log(f, kind, b.tariff, b.from, b.to, k.namesOf(d, demand), "", withheldNames(d))
}

// namesOf are the names of what is told, made once for all bills alike.
func (k *keeper) namesOf(d *gate.Decision, demand []gate.Demand) string {
	names := d.Shape.Quantities()
	for _, figure := range demand {
		names = append(names, fmt.Sprintf("demand %s %v", figure.Window, tariff.Month(figure.Month)))
	}
	return strings.Join(names, ",")
}

func withheldNames(d *gate.Decision) string {
	names := make([]string, len(d.Withheld))
	for i, r := range d.Withheld {
		names[i] = r.Quantity + ":" + string(r.Rule)
	}
	return strings.Join(names, ",")
}

// refusal logs why a meter has no bill, if the gate refused it.
func (k *keeper) refusal(f *file) error {
	if f.refusal == nil {
		return nil
	}
	p := k.period
	return k.refuse(f, DisclosedRefusal, p.terms.ID(), p.from.Unix(), p.to.Unix(), f.refusal.Rule)
}

func (k *keeper) refuse(f *file, kind DisclosureKind, tariff string, from, to int64, rule gate.Rule) error {
	return k.log(f, kind, tariff, from, to, "", rule, "")
}

func (k *keeper) log(f *file, kind DisclosureKind, tariff string, from, to int64, told string, rule gate.Rule, withheld string) error {
	_, err := k.disclosure.ExecContext(k.ctx, k.uc, int64(f.meter.Pseudonym), string(kind), tariff, from, to, told, withheld, string(rule), k.now)
	return err
}

// Disclosures is the log of what a utility was told of a meter, or refused, by
// time.
func (t *TTP) Disclosures(ctx context.Context, m wattveil.Meter) (list []Disclosure, err error) {
	err = each(ctx, t.db, func(rows *sql.Rows) error {
		var d Disclosure
		var from, to, at, last int64
		var told, withheld string
		if err := rows.Scan(&d.Kind, &d.Tariff, &from, &to, &told, &withheld, &d.Rule, &at, &last, &d.Times); err != nil {
			return err
		}
		d.From, d.To, d.At, d.Last = unixTime(from), unixTime(to), unixTime(at), unixTime(last)
		d.Told, d.Withheld = split(told), split(withheld)
		list = append(list, d)
		return nil
	}, `SELECT kind, tariff, from_second, to_second, told, withheld, rule, at, last, times FROM disclosures
		WHERE uc = ? AND an_id = ? ORDER BY id`, m.UC, int64(m.Pseudonym))
	if err != nil {
		return nil, fmt.Errorf("disclosures of %v: %w", m, err)
	}
	return list, nil
}

func split(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ",")
}
