package ttp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/rating"
)

// Corrections (spec/gate.md section 3). A bill with estimated intervals is
// looked at again when a later one of its meter is made. Where late readings
// changed it, the gate lets a correction be told with the later bill, or the
// difference goes into that bill; else it stays unsettled, and the consumer can
// see that.

// again is an earlier bill, rated with what readings there are now.
type again struct {
	*openBill
	period *period
	before bill.Bill
	rated  rating.Rated
	measures
}

// correct looks at the earlier bills of a meter. At most one is corrected, and
// the difference of at most one is carried.
func (r *billRun) correct(ctx context.Context, w *workspace, f *file) error {
	settings := r.period.desk.gate.Settings()
	for i := range f.open {
		o := &f.open[i]
		age := (r.now - o.issued) / secondsPerDay
		if o.to > r.period.from.Unix() || age < int64(settings.CorrectionAfter) {
			continue
		}
		if age > int64(settings.CorrectableFor) {
			f.closed = append(f.closed, o.id)
			continue
		}
		a, changed, err := r.rateAgain(ctx, w, f, o)
		if err != nil {
			r.cfg.Log.Warn("earlier bill not looked at", "meter", f.meter, "error", err)
			continue
		}
		if !changed {
			if a.estimated == 0 {
				f.closed = append(f.closed, o.id)
			}
			continue
		}
		if err := r.settleAgain(ctx, w, f, a); err != nil {
			return err
		}
	}
	return nil
}

const secondsPerDay = 24 * 60 * 60

// rateAgain rates the period of an earlier bill, and tells whether that comes
// to something else than the bill says.
func (r *billRun) rateAgain(ctx context.Context, w *workspace, f *file, o *openBill) (*again, bool, error) {
	keys, err := r.BillKeys()
	if err != nil {
		return nil, false, err
	}
	verified, err := bill.Verify(o.jws, keys)
	if err != nil {
		return nil, false, err
	}
	terms, err := r.tariff(ctx, r.uc, o.tariff)
	if err != nil {
		return nil, false, err
	}
	a := &again{openBill: o, before: verified.Bill}
	if a.period, err = r.TTP.period(ctx, r.uc, terms, unixTime(o.from), unixTime(o.to)); err != nil {
		return nil, false, err
	}
	m, err := r.measure(ctx, w, f.meter, f.newest, a.period)
	if err != nil {
		return nil, false, err
	}
	figures := rating.Figures{} // not nil: a correction measures no demand
	for _, l := range a.before.Lines {
		if err := figures.Add(rating.Line(l)); err != nil {
			return nil, false, err
		}
	}
	if a.rated, err = a.period.rate(&m, nil, nil, figures); err != nil {
		return nil, false, err
	}
	a.measures, err = w.measures(&m, a.period)
	return a, a.changed(), err
}

// changed tells whether a line is another than before. What was withheld then
// is not looked at.
func (a *again) changed() bool {
	return !slices.EqualFunc(a.before.Lines, a.rated.Lines, func(before bill.Line, line rating.Line) bool {
		now := bill.Line(line)
		if before.Withheld != "" {
			now.Quantity, now.Withheld = before.Quantity, before.Withheld
		}
		return before == now
	})
}

// settleAgain corrects a bill, or carries what changed, or notes that neither
// may be.
func (r *billRun) settleAgain(ctx context.Context, w *workspace, f *file, a *again) error {
	if f.correction == nil {
		decision, err := a.period.desk.gate.Check(f.history, gate.Bill{
			Shape: a.shape, Tariff: a.period.terms.tag, Registered: a.period.terms.at, Now: r.now, Corrects: true,
		}, r.shapeLookup(ctx))
		refusal := refusalOf(err)
		switch {
		case err == nil:
			return r.makeCorrection(f, a, decision)
		case refusal == nil:
			return err
		}
		a.rule = refusal.Rule
	}
	if f.carried == nil {
		done, err := r.carry(ctx, w, f, a)
		if done || err != nil {
			return err
		}
	}
	if a.rule != "" {
		f.unsettled = append(f.unsettled, *a.openBill)
	}
	return nil
}

func (r *billRun) makeCorrection(f *file, a *again, d gate.Decision) error {
	content := r.document(a.period, f.meter, &a.measures, &a.rated, &d)
	content.Corrects = bill.HashOf(a.jws).String()
	made, err := r.sign(content, f.meter, a.secret)
	if err != nil {
		return err
	}
	made.shape = d.Shape
	f.correction = &madeCorrection{madeBill: made, of: a.openBill, decision: d}
	f.history = d.History
	f.closed = append(f.closed, a.id)
	return nil
}

// carry puts the difference into the bill that is being made, and tells
// whether it could.
func (r *billRun) carry(ctx context.Context, w *workspace, f *file, a *again) (bool, error) {
	if a.period.terms.digest != r.period.terms.digest || len(a.period.series) > 0 {
		return false, nil
	}
	before, err := r.shapeLookup(ctx)(a.told)
	if errors.Is(err, errNoShape) {
		return false, nil // no bill could be corrected for so long when it was deleted
	}
	if err != nil {
		return false, fmt.Errorf("shape of an earlier bill of %v: %w", f.meter, err)
	}
	shape, err := r.period.desk.gate.Carry(f.shape, before, a.shape)
	if err != nil {
		return false, nil // what they tell differs: bands that do not come in both
	}
	difference, err := a.difference()
	if err != nil {
		return false, err
	}
	m, err := r.measure(ctx, w, f.meter, f.newest, r.period)
	if err != nil {
		return false, err
	}
	rated, err := r.period.rate(&m, f.peaks, difference, nil)
	if errors.Is(err, rating.ErrCarry) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	decision, err := r.check(ctx, f, shape)
	if refusalOf(err) != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.rated, f.decision, f.carried = rated, decision, a.openBill
	f.closed = append(f.closed, a.id)
	return true, nil
}

// difference is what the bands come to now less what the bill said.
func (a *again) difference() ([]rating.Energy, error) {
	list := slices.Clone(a.rated.Energy)
	for _, l := range a.before.Lines {
		if l.Kind != rating.KindImport && l.Kind != rating.KindExport {
			continue
		}
		wh, err := rating.ParseKWh(l.Quantity)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(e rating.Energy) bool { return e.Band == l.Band })
		switch {
		case i < 0:
			return nil, fmt.Errorf("an earlier bill has the unknown band %s", l.Band)
		case l.Kind == rating.KindImport:
			list[i].Import -= wattveil.Wh(wh)
		default:
			list[i].Export -= wattveil.Wh(wh)
		}
	}
	return list, nil
}
