package ttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/wire"
)

// A request for bills goes this way:
//
//   - what was made before is looked up: the same request gives the same bill;
//   - readings of the other meters become intervals and lines (rate.go);
//   - in the utility's turn the disclosure gate decides on each meter by its
//     history, corrections of earlier bills among it (correction.go), bills are
//     signed, and bills, histories and disclosures become durable together
//     (billstore.go);
//   - bills go to the log (billlog.go), and only then to the utility.
//
// A stop on the way loses nothing: what is durable is given again.

const (
	maxBillsPerRequest  = 1000
	maxPlacesPerRequest = 2 * maxBillsPerRequest // each with a correction
)

// draft is one meter's bill in the making, or why there is none.
type draft struct {
	name   string
	meter  wattveil.Meter
	newest wattveil.Series
	known  bool          // enrolled
	peaks  []rating.Peak // of earlier months
	err    error

	kept  *keptBill // made by this or an earlier request
	given *keptBill // the correction that was given with it

	rated rating.Rated
	measures
}

// measures are what a bill is made from, apart from its lines.
type measures struct {
	intervals, estimated int
	unbilled             int64
	shape                *gate.Shape
	demand               []gate.Demand
	secret               bill.Secret
	root                 string
}

// billRun is one request.
type billRun struct {
	*TTP
	uc     wattveil.UCNumber
	period *period
	ends   gate.Ends
	now    int64
	drafts []*draft
	order  []*draft // by position of the request, which may name a meter twice
}

// handleBills makes a bill for each meter asked for, or says by its class why
// there is none.
func (t *TTP) handleBills(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	var in wire.BillsRequest
	if err := decode("bills", body, &in); err != nil {
		return nil, err
	}
	r, err := t.newBillRun(ctx, uc, &in)
	if err != nil {
		return nil, err
	}
	if err := r.make(ctx); err != nil {
		return nil, err
	}
	answer, err := r.answer(ctx, in.LogSize)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func (t *TTP) newBillRun(ctx context.Context, uc wattveil.UCNumber, in *wire.BillsRequest) (*billRun, error) {
	if len(in.Meters) > maxBillsPerRequest {
		return nil, fmt.Errorf("%w: %d bills in one request, at most %d", wire.Malformed, len(in.Meters), maxBillsPerRequest)
	}
	if !in.From.Before(in.To) || !wholeSeconds(in.From) || !wholeSeconds(in.To) || in.From.Unix() < 0 || in.To.Year() > 9998 {
		return nil, fmt.Errorf("%w: period is empty, not in whole seconds or not of the years 1970 to 9998", wire.Malformed)
	}
	ends, ok := map[string]gate.Ends{"": gate.EndsNothing, wire.EndsTariff: gate.EndsTariff, wire.EndsTenancy: gate.EndsTenancy}[in.Ends]
	if !ok {
		return nil, fmt.Errorf("%w: what ends is %.20q", wire.Malformed, in.Ends)
	}
	terms, err := t.tariff(ctx, uc, in.Tariff)
	if err != nil {
		return nil, err
	}
	p, err := t.period(ctx, uc, terms, in.From, in.To)
	if err != nil {
		return nil, err
	}
	r := &billRun{TTP: t, uc: uc, period: p, ends: ends, now: t.cfg.Now().Unix()}
	named := make(map[string]*draft, len(in.Meters))
	for _, name := range in.Meters {
		d := named[name]
		if d == nil {
			d = &draft{name: name, meter: wattveil.Meter{UC: uc}}
			if d.meter.Pseudonym, err = wattveil.ParsePseudonym(name); err != nil {
				d.err = fmt.Errorf("%w: %w", wire.Malformed, err)
			}
			named[name] = d
			r.drafts = append(r.drafts, d)
		}
		r.order = append(r.order, d)
	}
	return r, nil
}

// waiting are the drafts that have neither a bill nor a refusal yet.
func (r *billRun) waiting() []*draft {
	var list []*draft
	for _, d := range r.drafts {
		if d.kept == nil && d.err == nil {
			list = append(list, d)
		}
	}
	return list
}

// make brings every draft to a bill or a refusal, all of them durable.
func (r *billRun) make(ctx context.Context) error {
	if err := r.findKept(ctx, r.waiting()); err != nil {
		return err
	}
	fresh := r.waiting()
	if len(fresh) == 0 {
		return nil
	}
	if err := r.findMeters(ctx, fresh); err != nil {
		return err
	}
	if from, to := r.period.from.Unix(), r.period.to.Unix(); to > r.now {
		for _, d := range fresh {
			if !d.known {
				d.err = fmt.Errorf("%w: %v", wire.Unknown, d.meter)
				continue
			}
			d.err = fmt.Errorf("%w: %w", wire.Incomplete, &gate.Refusal{Rule: gate.NotOver, From: from, To: to})
		}
		return r.keepAll(ctx, refusedAlready(fresh))
	}
	if r.period.terms.HasRatchet() { // a bill takes what those before it told: none may come between
		return r.inTurn(ctx, func() error {
			if err := r.findPeaks(ctx, fresh); err != nil {
				return err
			}
			if err := r.rateAll(ctx, fresh); err != nil {
				return err
			}
			return r.settle(ctx, fresh)
		})
	}
	if err := r.rateAll(ctx, fresh); err != nil {
		return err
	}
	return r.inTurn(ctx, func() error { return r.settle(ctx, fresh) })
}

// inTurn decides in the utility's turn.
func (r *billRun) inTurn(ctx context.Context, decide func() error) error {
	release, err := r.billTurns.take(ctx, r.uc)
	if err != nil {
		return err
	}
	defer release()
	return decide()
}

// rateAll measures and prices. A utility's requests do so one after the other:
// so the first is settled, which waits for the disk, while the next is rated.
func (r *billRun) rateAll(ctx context.Context, drafts []*draft) error {
	release, err := r.ratingTurns.take(ctx, r.uc)
	if err != nil {
		return err
	}
	defer release()
	inParallel(len(drafts), func(from, to int) {
		var w workspace
		for _, d := range drafts[from:to] {
			d.err = r.rate(ctx, &w, d)
		}
	})
	return nil
}

// rate measures and prices a meter's period.
func (r *billRun) rate(ctx context.Context, w *workspace, d *draft) error {
	if !d.known {
		return fmt.Errorf("%w: %v", wire.Unknown, d.meter)
	}
	m, err := r.measure(ctx, w, d.meter, d.newest, r.period)
	if err != nil {
		return err
	}
	if d.rated, err = r.period.rate(&m, d.peaks, nil, nil); err != nil {
		return err
	}
	d.measures, err = w.measures(&m, r.period)
	return err
}

// measures are what a bill says of what was measured.
func (w *workspace) measures(m *metered, p *period) (out measures, err error) {
	out = measures{intervals: len(m.known), estimated: m.estimated, unbilled: m.unbilled, secret: bill.NewSecret()}
	if out.shape, out.demand, err = p.shape(m); err != nil {
		return out, err
	}
	out.root, err = w.rootOf(m, p.days, out.secret)
	return out, err
}

// settle decides on drafts and makes the outcome durable. The caller has the
// utility's turn, so that what it finds in histories holds.
func (r *billRun) settle(ctx context.Context, fresh []*draft) error {
	if err := r.findKept(ctx, fresh); err != nil { // another request may have been faster
		return err
	}
	already := refusedAlready(fresh)
	files, err := r.files(ctx, r.waiting())
	if err != nil {
		return err
	}
	inParallel(len(files), func(from, to int) {
		var w workspace
		for i := from; i < to; i++ {
			if err := r.decide(ctx, &w, &files[i]); err != nil {
				files[i].err = err
			}
		}
	})
	return r.keepAll(ctx, append(files, already...))
}

func (r *billRun) keepAll(ctx context.Context, files []file) error {
	if err := r.keep(ctx, files); err != nil {
		return fmt.Errorf("keep bills by tariff %s: %w", r.period.terms.ID(), err)
	}
	return nil
}

// refusedAlready are files of meters that are refused whatever was told of them
// before, for the log.
func refusedAlready(drafts []*draft) (files []file) {
	for _, d := range drafts {
		if refusal := refusalOf(d.err); refusal != nil {
			files = append(files, file{draft: d, refusal: refusal})
		}
	}
	return files
}

// decide asks the gate, with what was told of the meter before, and signs what
// may be told. A correction that a refused bill would have come with is not
// made.
func (r *billRun) decide(ctx context.Context, w *workspace, f *file) error {
	if err := r.correct(ctx, w, f); err != nil {
		return err
	}
	if f.carried == nil {
		decision, err := r.check(ctx, f, f.shape)
		if err != nil {
			f.refusal = refusalOf(err)
			return gated(err)
		}
		f.decision = decision
	}
	content := r.document(r.period, f.meter, &f.measures, &f.rated, &f.decision)
	if f.carried != nil {
		content.Carries = bill.HashOf(f.carried.jws).String()
	}
	made, err := r.sign(content, f.meter, f.secret)
	if err != nil {
		return err
	}
	made.open = f.estimated > 0 && f.carried == nil
	made.shape = f.decision.Shape
	f.made = made
	return nil
}

// check asks the gate about a draft's bill, after the correction if there is
// one.
func (r *billRun) check(ctx context.Context, f *file, shape *gate.Shape) (gate.Decision, error) {
	return r.period.desk.gate.Check(f.history, gate.Bill{
		Shape: shape, Tariff: r.period.terms.tag, Registered: r.period.terms.at, Now: r.now, Ends: r.ends, Demand: f.demand,
	}, r.shapeLookup(ctx))
}

func refusalOf(err error) *gate.Refusal {
	refusal, _ := errors.AsType[*gate.Refusal](err)
	return refusal
}

// document is a bill without what it refers to.
func (t *TTP) document(p *period, m wattveil.Meter, s *measures, rated *rating.Rated, d *gate.Decision) bill.Bill {
	b := p.head
	b.Intervals, b.Estimated, b.UnbilledSeconds, b.ReadingsRoot = s.intervals, s.estimated, s.unbilled, s.root
	b.ImportKWh, b.ExportKWh, b.Total = rated.ImportKWh(), rated.ExportKWh(), rated.Total
	b.Lines = make([]bill.Line, len(rated.Lines))
	for i, line := range rated.Lines {
		for _, w := range d.Withheld {
			if name, ok := line.WithheldAs(); !ok || name != w.Quantity {
				continue
			}
			line.Quantity, line.Withheld = "", string(w.Rule)
			if line.Kind == rating.KindExport {
				b.ExportKWh = ""
			} else {
				b.ImportKWh = ""
			}
		}
		b.Lines[i] = bill.Line(line)
	}
	return b
}

// sign gives a bill its subject and signs it.
func (t *TTP) sign(b bill.Bill, m wattveil.Meter, secret bill.Secret) (*madeBill, error) {
	made := &madeBill{salt: bill.NewSalt(), secret: secret}
	b.Subject = bill.SubjectOf(made.salt, m)
	var err error
	if made.jws, err = t.billKeys.signer(t.cfg.Now()).Sign(b); err != nil {
		return nil, fmt.Errorf("sign bill of %v: %w", m, err)
	}
	return made, nil
}

func peerClass(err error) wire.Class {
	class := wire.Unavailable
	_ = errors.As(err, &class)
	return class
}
