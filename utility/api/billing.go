package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/wire"
)

// Tariff is a tariff that was put.
type Tariff struct {
	ID        string `json:"id"`
	Digest    string `json:"digest" doc:"of its canonical form"`
	Currency  string `json:"currency"`
	Timezone  string `json:"timezone"`
	ValidFrom string `json:"valid_from"`
	ValidTo   string `json:"valid_to,omitempty" doc:"exclusive"`
	Replaces  string `json:"replaces,omitempty" doc:"id of the version before"`

	Document json.RawMessage `json:"document,omitempty" doc:"the tariff itself in its canonical form; where one alone is asked for"`
}

// RunBills asks for bills of a period. The same request again asks the TTP for
// those alone that are not here yet.
type RunBills struct {
	Tariff string    `json:"tariff"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to" doc:"exclusive"`
	Meters []string  `json:"meters" minItems:"1" maxItems:"500" doc:"ID_SM"`
	Ends   string    `json:"ends,omitempty" enum:"tariff,tenancy" doc:"what ends with the period, which may be short then. It binds: no later bill of it is made"`
}

// MeterBill is a meter's verified bill, or why there is none.
type MeterBill struct {
	Meter     string     `json:"meter" doc:"ID_SM"`
	Pseudonym string     `json:"pseudonym,omitempty" doc:"an-ID"`
	Class     string     `json:"class,omitempty" doc:"why there is no bill, in one word"`
	Rule      string     `json:"rule,omitempty" doc:"of the class gate: the gate's rule that a bill would break"`
	Reason    string     `json:"reason,omitempty" doc:"the same for a person"`
	Tariff    string     `json:"tariff,omitempty"`
	From      *time.Time `json:"from,omitempty"`
	To        *time.Time `json:"to,omitempty"`
	JWS       string     `json:"jws,omitempty" doc:"as the TTP signed it"`
	Salt      string     `json:"salt,omitempty" doc:"with which anyone can tell that the bill is of this pseudonym"`
	Document  *bill.Bill `json:"bill,omitempty" doc:"what was signed"`

	Correction bool            `json:"correction,omitempty" doc:"it replaces the bill of the same pseudonym, tariff and period"`
	Proven     json.RawMessage `json:"document,omitempty" doc:"the bill with the proof that the TTP's log has it, for wattveil bill verify"`
}

// BillList is bills in the order that was asked for. In that of a run, a
// correction follows the bill that it came with.
type BillList struct {
	Bills []MeterBill `json:"bills"`
	Kept  int         `json:"kept,omitempty" doc:"of a run: how many were here before it"`
	Next  int64       `json:"next,omitempty" doc:"of a list: mark for the next part; there is none if it is left out"`
}

// Keys are the public keys of a TTP's bills and of its bill log.
type Keys struct {
	JWKS  json.RawMessage `json:"jwks"`
	Log   *LogKeys        `json:"log,omitempty" doc:"once the TTP has told it"`
	Stale string          `json:"stale,omitempty" doc:"why the TTP gave none now, so that these are those of before"`
}

// LogKeys are the keys of a bill log.
type LogKeys struct {
	Origin  string `json:"origin" doc:"the log's name in its checkpoints"`
	Log     string `json:"log" doc:"verifier key of the log (C2SP signed-note)"`
	Witness string `json:"witness" doc:"verifier key of this utility, which cosigns"`
}

func (a *api) registerBilling(h huma.API) {
	put := operation("put-tariff", http.MethodPut, "/v1/tariffs", "Register a tariff at all TTPs")
	put.SkipValidateBody = true // package tariff says more
	huma.Register(h, put, a.putTariff)
	huma.Register(h, operation("list-tariffs", http.MethodGet, "/v1/tariffs", "List the tariffs that were put"), a.listTariffs)
	huma.Register(h, operation("show-tariff", http.MethodGet, "/v1/tariffs/{id}", "Show a tariff with its document"), a.showTariff)
	huma.Register(h, operation("run-bills", http.MethodPost, "/v1/bills/run", "Ask for bills, verify and keep them"), a.runBills)
	huma.Register(h, operation("list-bills", http.MethodGet, "/v1/bills", "List kept bills by the start of their period"), a.listBills)
	huma.Register(h, operation("bill-keys", http.MethodGet, "/v1/bill-keys", "The keys under which a TTP's bills verify (JWKS), and those of its bill log"), a.billKeys)
}

func describeTariff(t *tariff.Tariff) Tariff {
	d := t.Document()
	return Tariff{
		ID: t.ID(), Digest: t.Digest().String(), Currency: d.Currency, Timezone: d.Timezone,
		ValidFrom: d.ValidFrom, ValidTo: d.ValidTo, Replaces: d.Replaces,
	}
}

func (a *api) putTariff(ctx context.Context, in *struct {
	RawBody []byte `contentType:"application/json"`
}) (*output[Tariff], error) {
	t, err := a.cfg.Utility.PutTariff(ctx, in.RawBody)
	if err != nil {
		return nil, refused(err)
	}
	return answer(describeTariff(t)), nil
}

func (a *api) listTariffs(ctx context.Context, _ *struct{}) (*output[[]Tariff], error) {
	list, err := a.cfg.Utility.Tariffs(ctx)
	if err != nil {
		return nil, broken(err)
	}
	out := make([]Tariff, len(list))
	for i, t := range list {
		out[i] = describeTariff(t)
	}
	return answer(out), nil
}

func (a *api) showTariff(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*output[Tariff], error) {
	list, err := a.cfg.Utility.Tariffs(ctx)
	if err != nil {
		return nil, refused(err)
	}
	i := slices.IndexFunc(list, func(t *tariff.Tariff) bool { return t.ID() == in.ID })
	if i < 0 {
		return nil, refused(fmt.Errorf("%w: tariff %q was not put", wire.NoTariff, in.ID))
	}
	out := describeTariff(list[i])
	if out.Document, err = list[i].MarshalJSON(); err != nil {
		return nil, refused(err)
	}
	return answer(out), nil
}

// runBills gives the outcomes in the order of the meters: one for each
// pseudonym that a meter had in the period, for the part in which it held.
func (a *api) runBills(ctx context.Context, in *struct{ Body RunBills }) (*output[BillList], error) {
	r := in.Body
	if !r.From.Before(r.To) {
		return nil, refused(fmt.Errorf("the period from %s to %s is empty", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339)))
	}
	run := billRun{api: a, tariff: r.Tariff, to: r.To, ends: utility.EndsWith(r.Ends), keys: verifier{a.cfg.Utility, make(map[string]bill.KeySet)}}
	named := make(map[string]bool)
	for _, name := range r.Meters {
		if named[name] {
			return nil, refused(fmt.Errorf("meter %s is named twice", name))
		}
		named[name] = true
		if err := run.add(ctx, name, r.From, r.To); err != nil {
			run.out = append(run.out, []MeterBill{failed(name, err)})
		}
	}
	if err := run.findKept(ctx); err != nil {
		return nil, refused(err)
	}
	if err := run.ask(ctx); err != nil {
		return nil, refused(err)
	}
	return answer(BillList{Bills: slices.Concat(run.out...), Kept: run.kept}), nil
}

// billRun is a run on its way.
type billRun struct {
	api    *api
	tariff string
	to     time.Time
	ends   utility.EndsWith
	keys   verifier
	out    [][]MeterBill // a bill, and the correction that came with it
	kept   int           // of out, from an earlier run
	open   []openBill    // that are not here already
}

// openBill is a bill to ask for, and where it goes.
type openBill struct {
	utility.Tenancy
	place int
}

// part is the bills of one time.
type part struct {
	from, to time.Time
	meters   []wattveil.Pseudonym
	place    map[wattveil.Pseudonym]int
}

// parts are the open bills, those of one time together.
func (r *billRun) parts() (list []*part) {
	type times struct{ from, to int64 }
	of := make(map[times]*part)
	for _, b := range r.open {
		at := times{b.From.Unix(), b.To.Unix()}
		if of[at] == nil {
			of[at] = &part{from: b.From, to: b.To, place: make(map[wattveil.Pseudonym]int)}
			list = append(list, of[at])
		}
		of[at].meters = append(of[at].meters, b.Pseudonym)
		of[at].place[b.Pseudonym] = b.place
	}
	return list
}

// add finds what there is to bill of a meter.
func (r *billRun) add(ctx context.Context, name string, from, to time.Time) error {
	id, err := wattveil.ParseMeterID(name)
	if err != nil {
		return fmt.Errorf("%w: %w", wire.Malformed, err)
	}
	tenancies, err := r.api.cfg.Utility.Tenancies(ctx, id, from, to)
	if err != nil {
		return err
	}
	for _, t := range tenancies {
		r.open = append(r.open, openBill{t, len(r.out)})
		from, to := t.From.UTC(), t.To.UTC()
		r.out = append(r.out, []MeterBill{{Meter: name, Pseudonym: t.Pseudonym.String(), Tariff: r.tariff, From: &from, To: &to}})
	}
	return nil
}

// findKept fills in the bills that are here already. They are open no more.
func (r *billRun) findKept(ctx context.Context) error {
	found := make(map[int]bool) // by place
	for _, p := range r.parts() {
		kept, err := r.api.cfg.Utility.KeptBills(ctx, p.meters, r.tariff, p.from, p.to)
		if err != nil {
			return err
		}
		for meter, bills := range kept {
			r.kept++
			r.out[p.place[meter]], found[p.place[meter]] = r.keys.describeAll(ctx, bills), true
		}
	}
	r.open = slices.DeleteFunc(r.open, func(b openBill) bool { return found[b.place] })
	return nil
}

// ask asks the TTPs for the open bills.
func (r *billRun) ask(ctx context.Context) error {
	for _, p := range r.parts() {
		ends := r.ends
		if p.to.Before(r.to) { // the tenant moved out: the bill may be short
			ends = utility.EndsTenancy
		}
		billed, err := r.api.cfg.Utility.RunLastBills(ctx, p.meters, r.tariff, p.from, p.to, ends)
		if err != nil {
			return err
		}
		for _, b := range billed {
			if err := r.fill(ctx, &r.out[p.place[b.Pseudonym]], &b); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill completes what there is of an open bill with what came of it.
func (r *billRun) fill(ctx context.Context, out *[]MeterBill, b *utility.Billed) (err error) {
	o := &(*out)[0]
	if b.Err != nil {
		o.fail(b.Err)
		o.Rule = b.Rule
		return nil
	}
	o.JWS, o.Salt, o.Document = b.JWS, b.Salt.String(), &b.Bill
	if o.Proven, err = b.Document.Text(); err != nil {
		return err
	}
	if b.Correction != nil {
		*out = append(*out, r.keys.describe(ctx, *b.Correction))
	}
	return nil
}

func failed(meter string, err error) MeterBill {
	b := MeterBill{Meter: meter}
	b.fail(err)
	return b
}

func (b *MeterBill) fail(err error) {
	class := wire.Unavailable
	_ = errors.As(err, &class)
	b.Class, b.Reason = string(class), err.Error()
}

// verifier reads kept bills, each of which verifies again.
type verifier struct {
	utility *utility.Utility
	keys    map[string]bill.KeySet // by TTP
}

func (v *verifier) describeAll(ctx context.Context, kept []utility.KeptBill) []MeterBill {
	out := make([]MeterBill, len(kept))
	for i, k := range kept {
		out[i] = v.describe(ctx, k)
	}
	return out
}

func (v *verifier) describe(ctx context.Context, k utility.KeptBill) MeterBill {
	from, to := k.From.UTC(), k.To.UTC()
	out := MeterBill{
		Meter: k.Meter.String(), Pseudonym: k.Pseudonym.String(), Tariff: k.Tariff, From: &from, To: &to, Correction: k.Correction,
	}
	document, err := v.verify(ctx, k)
	if err != nil {
		out.fail(fmt.Errorf("bill that was kept: %w", err))
		return out
	}
	out.JWS, out.Salt, out.Document = k.JWS, k.Salt.String(), document
	if out.Proven, err = k.Document.Text(); err != nil {
		out.fail(fmt.Errorf("bill that was kept: %w", err))
	}
	return out
}

func (v *verifier) verify(ctx context.Context, k utility.KeptBill) (*bill.Bill, error) {
	keys, ok := v.keys[k.TTP]
	if !ok {
		var err error
		if keys, err = v.utility.BillKeys(ctx, k.TTP); err != nil {
			return nil, err
		}
		v.keys[k.TTP] = keys
	}
	verified, err := bill.Verify(k.JWS, keys)
	if err != nil {
		return nil, err
	}
	return &verified.Bill, nil
}

func (a *api) listBills(ctx context.Context, in *struct {
	Meter  string    `query:"meter" doc:"ID_SM"`
	Tariff string    `query:"tariff"`
	From   time.Time `query:"from" doc:"periods that begin at this time or later"`
	To     time.Time `query:"to" doc:"and before this one"`
	Mark   int64     `query:"mark" minimum:"0"`
	Limit  int       `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}) (*output[BillList], error) {
	q := utility.BillQuery{Tariff: in.Tariff, From: in.From, To: in.To, Mark: in.Mark, Limit: in.Limit}
	if in.Meter != "" {
		id, err := wattveil.ParseMeterID(in.Meter)
		if err != nil {
			return nil, refused(err)
		}
		q.Meter = id
	}
	list, next, err := a.cfg.Utility.Bills(ctx, q)
	if err != nil {
		return nil, broken(err)
	}
	v := verifier{a.cfg.Utility, make(map[string]bill.KeySet)}
	return answer(BillList{Bills: v.describeAll(ctx, list), Next: next}), nil
}

func (a *api) billKeys(ctx context.Context, in *struct {
	TTP string `query:"ttp" doc:"organisation; may be left out where there is one only"`
}) (*output[Keys], error) {
	keys, stale, err := a.cfg.Utility.FreshBillKeys(ctx, in.TTP)
	if err != nil {
		return nil, refused(err)
	}
	set, err := keys.MarshalJSON()
	if err != nil {
		return nil, refused(err)
	}
	out := Keys{JWKS: set}
	if stale != nil {
		out.Stale = stale.Error()
	}
	log, err := a.cfg.Utility.LogKeys(ctx, in.TTP)
	switch {
	case errors.Is(err, wire.Unavailable):
		return answer(out), nil
	case err != nil:
		return nil, refused(err)
	}
	own := LogKeys(log)
	out.Log = &own
	return answer(out), nil
}
