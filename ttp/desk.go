package ttp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/vee"
	"github.com/wattveil/wattveil/wire"
)

// desk is the disclosure gate of one utility, with what bills of recent periods
// tell of a meter without gaps.
type desk struct {
	gate *gate.Gate

	mu     sync.Mutex // of making what is not there
	shapes *lru.Cache[shapeName, *told]
}

type shapeName struct {
	tariff   tariff.Digest
	from, to int64
	res      wattveil.Resolution
}

// told is what a bill of a period tells.
type told struct {
	shape  *gate.Shape
	demand []gate.Demand
}

// keptShapes is how many are kept in memory. One of hourly prices takes some
// hundred kilobytes.
const keptShapes = 64

func newDesk(s gate.Settings) (*desk, error) {
	g, err := gate.New(s)
	if err != nil {
		return nil, err
	}
	shapes, err := lru.New[shapeName, *told](keptShapes)
	return &desk{gate: g, shapes: shapes}, err
}

// desk is a utility's.
func (t *TTP) desk(ctx context.Context, uc wattveil.UCNumber) (*desk, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.desks[uc]; d != nil {
		return d, nil
	}
	var text sql.NullString
	if err := t.db.QueryRowContext(ctx, `SELECT gate FROM utilities WHERE number = ?`, uc).Scan(&text); err != nil {
		return nil, fmt.Errorf("gate of utility %v: %w", uc, err)
	}
	var s gate.Settings
	if text.Valid {
		var err error
		if s, err = gate.ParseSettings([]byte(text.String)); err != nil {
			return nil, fmt.Errorf("gate of utility %v: %w", uc, err)
		}
	}
	d, err := newDesk(s)
	if err != nil {
		return nil, fmt.Errorf("gate of utility %v: %w", uc, err)
	}
	t.desks[uc] = d
	return d, nil
}

// SetGate changes the limits of a utility's disclosure gate. They are public.
// What was told before stays told, and counts.
func (t *TTP) SetGate(ctx context.Context, org string, s gate.Settings) error {
	d, err := newDesk(s)
	if err != nil {
		return err
	}
	text, err := json.Marshal(d.gate.Settings())
	if err != nil {
		return fmt.Errorf("gate of utility %s: %w", org, err)
	}
	uc := t.NumberOf(org)
	release, err := t.billTurns.take(ctx, uc) // no bill is decided meanwhile
	if err != nil {
		return err
	}
	defer release()
	done, err := t.db.ExecContext(ctx, `UPDATE utilities SET gate = ? WHERE org = ?`, string(text), org)
	if err != nil {
		return fmt.Errorf("gate of utility %s: %w", org, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return t.noUtility(ctx, org)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.desks[uc] = d
	return nil
}

// Gate is the limits of a utility's disclosure gate, with defaults filled in.
func (t *TTP) Gate(ctx context.Context, org string) (gate.Settings, error) {
	uc := t.NumberOf(org)
	if uc == 0 {
		return gate.Settings{}, t.noUtility(ctx, org)
	}
	d, err := t.desk(ctx, uc)
	if err != nil {
		return gate.Settings{}, err
	}
	return d.gate.Settings(), nil
}

// period is a tariff over a time, prepared for all meters of a request. It
// never changes and is shared by goroutines.
type period struct {
	desk     *desk
	terms    *registered
	series   []*tariff.Series
	from, to time.Time
	days     bill.Days
	options  vee.Options
	head     bill.Bill // what all bills of it have in common
}

func (t *TTP) period(ctx context.Context, uc wattveil.UCNumber, terms *registered, from, to time.Time) (*period, error) {
	d, err := t.desk(ctx, uc)
	if err != nil {
		return nil, err
	}
	p := &period{
		desk: d, terms: terms, from: from, to: to,
		days: bill.NewDays(terms.Zone(), from, to), options: vee.Options{Zone: terms.Zone()},
		head: bill.Bill{
			V: bill.Version, Issuer: t.cfg.Name, Tariff: terms.ID(), TariffDigest: terms.digest.String(),
			Timezone: terms.Zone().String(), Currency: terms.Currency().String(),
			From: bill.Time(from, terms.Zone()), To: bill.Time(to, terms.Zone()),
		},
	}
	p.series, err = t.seriesOf(ctx, uc, terms)
	return p, err
}

// told is what a bill of the period tells of a meter of a resolution, without
// gaps. It is made once.
func (p *period) told(res wattveil.Resolution) (*told, error) {
	name := shapeName{p.terms.digest, p.from.Unix(), p.to.Unix(), res}
	if found, ok := p.desk.shapes.Get(name); ok {
		return found, nil
	}
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	if found, ok := p.desk.shapes.Get(name); ok {
		return found, nil
	}
	answers, err := rating.Answers(p.terms.Tariff, res, p.from, p.to, p.series)
	if err != nil {
		return nil, classed(err)
	}
	shape, err := p.desk.gate.NewShape(answers.Answers)
	if err != nil {
		return nil, gated(err)
	}
	made := &told{shape, answers.Demand}
	p.desk.shapes.Add(name, made)
	return made, nil
}

// shape is what a bill of the period tells of a meter with gaps.
func (p *period) shape(m *metered) (*gate.Shape, []gate.Demand, error) {
	plain, err := p.told(m.resolution)
	if err != nil {
		return nil, nil, err
	}
	if len(m.gaps) == 0 {
		return plain.shape, plain.demand, nil
	}
	shape, err := p.desk.gate.WithGaps(plain.shape, m.gaps)
	return shape, plain.demand, gated(err)
}

// gated gives a refusal of the gate its class.
func gated(err error) error {
	if refusal := (*gate.Refusal)(nil); errors.As(err, &refusal) {
		return fmt.Errorf("%w: %w", wire.Gated, err)
	}
	return err
}

// errNoShape: the gate needed the shape no more when it was deleted.
var errNoShape = errors.New("it is not kept")

// shapeLookup finds shapes that were told.
func (t *TTP) shapeLookup(ctx context.Context) gate.Lookup {
	return func(d gate.Digest) (*gate.Shape, error) {
		var raw []byte
		found, err := registry.Find(t.queries.shape.QueryRowContext(ctx, d[:]), &raw)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errNoShape
		}
		return gate.ParseShape(raw)
	}
}
