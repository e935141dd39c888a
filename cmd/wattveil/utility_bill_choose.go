package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility/api"
)

// billed is what a run bills: a period by a tariff.
type billed struct {
	tariff   string
	from, to time.Time
}

// choosePeriod reads a period by the clock of a tariff: of the one that is
// named, or of the one that is in force in all of the period.
func choosePeriod(ctx context.Context, c *operator.Client, id, period string) (billed, error) {
	list, err := listTariffs(ctx, c)
	if err != nil {
		return billed{}, err
	}
	if len(list) == 0 {
		return billed{}, errors.New("there is no tariff: put one with wattveil utility tariff put FILE")
	}
	if id == "" {
		return tariffInForce(ctx, c, list, period)
	}
	for _, t := range list {
		if t.ID == id {
			from, to, err := parsePeriod(period, t.Timezone)
			return billed{id, from, to}, err
		}
	}
	return billed{}, fmt.Errorf("--tariff %s: there is no such tariff; there are %s", id, strings.Join(tariffIDs(list), ", "))
}

func tariffIDs(list []api.Tariff) (ids []string) {
	for _, t := range list {
		ids = append(ids, t.ID)
	}
	return ids
}

// tariffInForce finds the one tariff that prices all of a period.
func tariffInForce(ctx context.Context, c *operator.Client, list []api.Tariff, period string) (billed, error) {
	all := make([]*tariff.Tariff, len(list))
	var err error
	for i, t := range list {
		if _, all[i], err = fetchTariff(ctx, c, t.ID); err != nil {
			return billed{}, err
		}
	}
	groups, err := tariff.Group(all)
	if err != nil {
		return billed{}, fmt.Errorf("%w; name one with --tariff", err)
	}
	var found []billed
	var ids, changes []string
	for _, versions := range groups {
		from, to, err := parsePeriod(period, versions[0].Document().Timezone)
		if err != nil {
			return billed{}, err
		}
		pieces := versions.Split(from, to)
		if len(pieces) == 1 && pieces[0].Tariff != nil {
			found = append(found, billed{pieces[0].Tariff.ID(), from, to})
			ids = append(ids, pieces[0].Tariff.ID())
		}
		for _, p := range pieces[1:] {
			changes = append(changes, changeOf(p, versions))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return billed{}, misusef("--tariff is missing: choose one of %s, which are all in force then", strings.Join(ids, ", "))
	case len(changes) > 0:
		return billed{}, fmt.Errorf("--period %s: no tariff is in force in all of it: %s; bill the parts one by one", period, strings.Join(changes, ", "))
	default:
		return billed{}, fmt.Errorf("--period %s: no tariff is in force then; there are %s", period, strings.Join(tariffIDs(list), ", "))
	}
}

// changeOf says what begins or ends within a period.
func changeOf(p tariff.Piece, versions tariff.Versions) string {
	at := p.From.In(versions[0].Zone()).Format(time.RFC3339)
	if p.Tariff != nil {
		return p.Tariff.ID() + " begins at " + at
	}
	return versions.At(p.From.Add(-time.Second)).ID() + " ends at " + at
}

// chooseMeters are the meters in a file, or all of them, each once.
func chooseMeters(ctx context.Context, c *operator.Client, file string, in io.Reader) ([]string, error) {
	if file == "" {
		var all []string
		err := eachMeter(ctx, c, func(m api.Meter) error {
			if m.Pseudonym == "" && (m.Replaces != "" || m.RetiredAt != nil) {
				return nil // it has never measured anything: nobody waits for its bill
			}
			all = append(all, m.ID)
			return nil
		})
		if err == nil && len(all) == 0 {
			err = errors.New("the utility has no meters: add some with wattveil utility meter add")
		}
		return all, err
	}
	if file == "-" {
		return readMeters("--meters -", in)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--meters: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readMeters("--meters "+file, f)
}

// readMeters reads one name a line. Empty lines and those that begin with # are
// nothing.
func readMeters(flag string, in io.Reader) ([]string, error) {
	var list []string
	seen := make(map[wattveil.MeterID]bool)
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		name := strings.TrimSpace(lines.Text())
		if name == "" || name[0] == '#' {
			continue
		}
		id, err := wattveil.ParseMeterID(name)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", flag, n, err)
		}
		if seen[id] {
			return nil, fmt.Errorf("%s: line %d: meter %v is there twice", flag, n, id)
		}
		seen[id] = true
		list = append(list, id.String())
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there are no meters in it", flag)
	}
	return list, nil
}
