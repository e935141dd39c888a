package ttp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/gate"
)

// Asked is all that a meter's utility was told of it, and refused.
func (c *Consumers) Asked(ctx context.Context, m wattveil.Meter) (consumer.Asked, error) {
	out, err := c.asked(ctx, m)
	if err != nil {
		return consumer.Asked{}, fmt.Errorf("who asked about %v: %w", m, err)
	}
	return out, nil
}

func (c *Consumers) asked(ctx context.Context, m wattveil.Meter) (out consumer.Asked, err error) {
	if out.Zone, err = c.Zone(ctx, m); err != nil {
		return out, err
	}
	if err := c.t.db.QueryRowContext(ctx, `SELECT org FROM utilities WHERE number = ?`, m.UC).Scan(&out.Who); err != nil {
		return out, fmt.Errorf("utility %v: %w", m.UC, err)
	}
	told, err := c.t.Disclosures(ctx, m)
	if err != nil {
		return out, err
	}
	list, err := c.Bills(ctx, m)
	if err != nil {
		return out, err
	}
	for _, d := range told {
		entry := consumer.Disclosure{
			Kind: consumer.DisclosureKind(d.Kind), Tariff: d.Tariff, From: d.From, To: d.To, Told: d.Told, Withheld: d.Withheld,
			Rule: string(d.Rule), At: d.At, Last: d.Last, Times: d.Times,
		}
		for _, b := range list {
			same := b.Content.Tariff == d.Tariff && b.From.Equal(d.From) && b.To.Equal(d.To)
			if same && (entry.Kind == consumer.ToldBill && b.Content.Corrects == "" || entry.Kind == consumer.ToldCorrection && b.Content.Corrects != "") {
				entry.Bill = b.Ref
			}
		}
		out.List = append(out.List, entry)
	}
	out.Limits, err = c.limitsOf(ctx, m.UC)
	return out, err
}

// limitsOf are the settings of a utility's gate that are not the default.
func (c *Consumers) limitsOf(ctx context.Context, uc wattveil.UCNumber) (list []consumer.Limit, err error) {
	d, err := c.t.desk(ctx, uc)
	if err != nil {
		return nil, err
	}
	usual, err := gate.New(gate.Settings{})
	if err != nil {
		return nil, err
	}
	set, err := membersOf(d.gate.Settings())
	if err != nil {
		return nil, err
	}
	other, err := membersOf(usual.Settings())
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if string(set[name]) != string(other[name]) {
			list = append(list, consumer.Limit{Name: name, Set: string(set[name]), Else: string(other[name])})
		}
	}
	return list, nil
}

// membersOf are settings by the names that spec/gate.md section 2 gives them.
func membersOf(s gate.Settings) (members map[string]json.RawMessage, err error) {
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		return nil, fmt.Errorf("settings of the gate: %w", err)
	}
	return members, nil
}
