package utility

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/wire"
)

// PutTariff registers a tariff at all TTPs and keeps it.
func (u *Utility) PutTariff(ctx context.Context, document []byte) (*tariff.Tariff, error) {
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, err
	}
	parts, err := u.SeriesParts(ctx)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if err := sameCurrency(t, part); err != nil {
			return nil, err
		}
	}
	if len(u.TTPs()) == 0 {
		_, err := u.trustee("")
		return nil, fmt.Errorf("register tariff %s: %w", t.ID(), err)
	}
	err = u.eachTTP(func(at *trustee) error {
		_, err := u.call(ctx, at, "PUT", "/v1/tariffs", document)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register tariff %s: %w", t.ID(), err)
	}
	_, err = u.db.ExecContext(ctx, `INSERT OR REPLACE INTO tariffs (id, document) VALUES (?, ?)`, t.ID(), document)
	if err != nil {
		return nil, fmt.Errorf("keep tariff %s: %w", t.ID(), err)
	}
	return t, nil
}

// Billed is the outcome of a billing run for one meter: a verified bill, or
// the reason why there is none.
type Billed struct {
	Pseudonym wattveil.Pseudonym
	JWS       string
	Salt      bill.Salt
	Bill      bill.Bill
	Document  bill.Document // the same with its proof, for whoever checks it
	// Correction, if there is one, replaces a bill of an earlier period.
	Correction *KeptBill
	Rule       string // the gate's, where it refused
	Err        error
}

// EndsWith says what ends with a bill, which may then be short, and binds: the
// TTP makes no later bill of it.
type EndsWith string

// What may end with a bill.
const (
	EndsNothing EndsWith = ""
	EndsTariff  EndsWith = wire.EndsTariff  // the meter goes on under another tariff
	EndsTenancy EndsWith = wire.EndsTenancy // the tenant moves out
)

const billsPerRequest = 500 // their answers stay below wire.MaxBody

// billRun is what all bills of a run are checked against.
type billRun struct {
	ttp     *trustee
	request wire.BillsRequest
	uc      wattveil.UCNumber
	terms   *tariff.Tariff
	keys    bill.KeySet
	logKeys transparency.Keys
	witness *transparency.Witness
}

// RunBills asks the TTPs for the bills of a period by a tariff that PutTariff
// registered, and keeps those that verify under the TTP's bill keys, are in its
// log, and are of the right meter, tariff and period. A meter without a bill
// does not stop the others. The outcomes are in the order of meters, each of
// which is named once. A TTP is asked in the order of an-IDs, so that the
// caller's order tells it nothing.
//
// The same run again gives the same bills. With bills of later periods come
// corrections of earlier ones, which are kept beside them.
func (u *Utility) RunBills(ctx context.Context, meters []wattveil.Pseudonym, tariffID string, from, to time.Time) ([]Billed, error) {
	return u.RunLastBills(ctx, meters, tariffID, from, to, EndsNothing)
}

// RunLastBills is [Utility.RunBills] for meters of which something ends with
// the period.
func (u *Utility) RunLastBills(ctx context.Context, meters []wattveil.Pseudonym, tariffID string, from, to time.Time, ends EndsWith) ([]Billed, error) {
	place := make(map[wattveil.Pseudonym]int, len(meters))
	for i, p := range meters {
		place[p] = i
	}
	if len(place) != len(meters) {
		return nil, fmt.Errorf("bills from %v to %v: %d meters are named, %d of them are different", from, to, len(meters), len(place))
	}
	terms, err := u.tariff(ctx, tariffID)
	if err != nil {
		return nil, err
	}
	byTTP, out, err := u.splitByTTP(ctx, meters)
	if err != nil {
		return nil, err
	}
	for _, org := range slices.Sorted(maps.Keys(byTTP)) {
		run := billRun{request: wire.BillsRequest{Tariff: tariffID, From: from, To: to, Ends: string(ends)}, terms: terms}
		if out, err = u.runAt(ctx, org, &run, byTTP[org], out); err != nil {
			err = fmt.Errorf("bills from %v to %v: %w", from, to, err)
			break
		}
	}
	slices.SortFunc(out, func(a, b Billed) int { return cmp.Compare(place[a.Pseudonym], place[b.Pseudonym]) })
	return out, err
}

// splitByTTP tells which TTP has which meters, and gives the outcome for those
// that nobody has.
func (u *Utility) splitByTTP(ctx context.Context, meters []wattveil.Pseudonym) (map[string][]wattveil.Pseudonym, []Billed, error) {
	by := make(map[string][]wattveil.Pseudonym)
	var strangers []Billed
	for _, p := range meters {
		var org string
		found, err := registry.Find(u.db.QueryRowContext(ctx,
			`SELECT m.ttp FROM pseudonyms p JOIN meters m ON m.id_sm = p.id_sm WHERE p.an_id = ?`, int64(p)), &org)
		if err != nil {
			return nil, nil, fmt.Errorf("TTP of %v: %w", p, err)
		}
		if !found {
			strangers = append(strangers, Billed{Pseudonym: p, Err: fmt.Errorf("bill of %v: %w", p, wire.Unknown)})
			continue
		}
		by[org] = append(by[org], p)
	}
	return by, strangers, nil
}

// runAt asks one TTP for the bills of its meters. Runs at one TTP may overlap.
func (u *Utility) runAt(ctx context.Context, org string, run *billRun, meters []wattveil.Pseudonym, out []Billed) (_ []Billed, err error) {
	if run.ttp, err = u.trustee(org); err != nil {
		return out, err
	}
	own, err := u.keysOf(ctx, run.ttp)
	if err != nil {
		return out, err
	}
	run.uc = own.number
	if err := u.openRun(ctx, run); err != nil {
		return out, err
	}
	return u.runChunks(ctx, run, slices.Collect(slices.Chunk(slices.Sorted(slices.Values(meters)), billsPerRequest)), out)
}

// openRun finds what the bills of a run are checked with.
func (u *Utility) openRun(ctx context.Context, run *billRun) error {
	release, err := run.ttp.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	told, keys, err := u.refreshBillKeys(ctx, run.ttp)
	if err != nil {
		return err
	}
	run.keys = keys
	if run.witness, err = u.openWitness(run.ttp, told); err != nil {
		return err
	}
	run.logKeys = transparency.Keys{Origin: told.Origin, Log: told.Log, Witness: run.witness.PublicKey()}
	return nil
}

// billsAnswer is what came of one request.
type billsAnswer struct {
	wire.BillsAnswer
	since uint64 // size of the log that its checkpoint is proven to continue
	err   error
}

// runChunks makes one request after the other. The next one is under way while
// the bills of the one before are verified and kept.
func (u *Utility) runChunks(ctx context.Context, run *billRun, chunks [][]wattveil.Pseudonym, out []Billed) ([]Billed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cosigned := ""
	next := u.startAsking(ctx, run, chunks[0])
	for i, chunk := range chunks {
		answer := <-next
		if answer.err != nil {
			return out, answer.err
		}
		var checkpoint logged
		if answer.Checkpoint != "" {
			var err error
			if checkpoint, err = u.cosignInTurn(ctx, run, &answer); err != nil {
				return out, err
			}
			cosigned = checkpoint.note
		}
		if i+1 < len(chunks) {
			next = u.startAsking(ctx, run, chunks[i+1])
		}
		made, err := u.keepBills(ctx, run, chunk, answer.Bills, checkpoint)
		out = append(out, made...)
		if err != nil {
			return out, err
		}
	}
	if cosigned != "" {
		u.handBack(ctx, run, cosigned)
	}
	return out, nil
}

// startAsking sends a request; the channel gets its answer.
func (u *Utility) startAsking(ctx context.Context, run *billRun, meters []wattveil.Pseudonym) <-chan billsAnswer {
	done := make(chan billsAnswer, 1)
	go func() { done <- u.askBills(ctx, run, meters) }()
	return done
}

func (u *Utility) askBills(ctx context.Context, run *billRun, meters []wattveil.Pseudonym) (a billsAnswer) {
	request := run.request
	for _, p := range meters {
		request.Meters = append(request.Meters, p.String())
	}
	if a.since, a.err = run.witness.Size(); a.err != nil {
		return a
	}
	request.LogSize = a.since
	if a.err = u.ask(ctx, run.ttp, "POST", "/v1/bills", request, &a.BillsAnswer); a.err != nil {
		return a
	}
	if len(a.Bills) != len(meters) {
		a.err = fmt.Errorf("%d answers of the TTP for %d meters", len(a.Bills), len(meters))
	}
	return a
}

// cosignInTurn cosigns the checkpoint of an answer. If that of another run was
// cosigned since the request was made, neither is known to continue the other.
// Newer proofs take the place of the answer's then; no other run gets in
// between. What was overtaken must be of the same log, too.
func (u *Utility) cosignInTurn(ctx context.Context, run *billRun, a *billsAnswer) (logged, error) {
	release, err := run.ttp.take(ctx)
	if err != nil {
		return logged{}, err
	}
	defer release()
	checkpoint, err := u.cosign(ctx, run, a)
	if !errors.Is(err, transparency.ErrOvertaken) {
		return checkpoint, err
	}
	overtaken := a.Checkpoint
	proof, err := u.renewProofs(ctx, run, a)
	if err != nil {
		return logged{}, err
	}
	if checkpoint, err = u.cosign(ctx, run, a); err != nil {
		return logged{}, err
	}
	if err := run.witness.Follows([]byte(overtaken), proof); err != nil {
		return logged{}, u.keepPair(ctx, run.ttp.org, checkpoint.note, overtaken, err)
	}
	return checkpoint, nil
}

// renewProofs asks for proofs of the bills in an answer, at the places that it
// names, under a checkpoint that continues the one cosigned last, and gives the
// proof that it continues the answer's own.
func (u *Utility) renewProofs(ctx context.Context, run *billRun, a *billsAnswer) (overtaken [][]byte, err error) {
	var bills []*wire.LoggedBill
	var request wire.ProofsRequest
	add := func(b *wire.LoggedBill) {
		bills, request.Places = append(bills, b), append(request.Places, b.Index)
	}
	for i := range a.Bills {
		if a.Bills[i].Class != "" {
			continue
		}
		add(&a.Bills[i].LoggedBill)
		if c := a.Bills[i].Correction; c != nil {
			add(&c.LoggedBill)
		}
	}
	if request.LogSize, err = run.witness.Size(); err != nil {
		return nil, err
	}
	if request.Overtaken, err = run.witness.SizeOf([]byte(a.Checkpoint)); err != nil {
		return nil, err
	}
	var newer wire.ProofsAnswer
	if err := u.ask(ctx, run.ttp, "POST", "/v1/proofs", request, &newer); err != nil {
		return nil, err
	}
	if len(newer.Hashes) != len(bills) {
		return nil, fmt.Errorf("%d proofs of the TTP for %d bills", len(newer.Hashes), len(bills))
	}
	for i, b := range bills {
		b.Hashes = newer.Hashes[i]
	}
	a.Checkpoint, a.Consistency, a.since = newer.Checkpoint, newer.Consistency, request.LogSize
	return newer.Overtaken, nil
}

// handBack gives the TTP the checkpoint that this utility has cosigned, for
// consumers. It comes again with the next run if it fails.
func (u *Utility) handBack(ctx context.Context, run *billRun, cosigned string) {
	body := wire.CosignedCheckpoint{Checkpoint: cosigned, Witness: run.witness.PublicKey()}
	if err := u.ask(ctx, run.ttp, "PUT", "/v1/checkpoint", body, nil); err != nil {
		u.cfg.Log.Warn("cosigned checkpoint not handed back", "ttp", run.ttp.org, "error", err)
	}
}

// refusal is why a TTP made no bill, with the gate's rule in words, and what
// can be done.
func (r *billRun) refusal(a *wire.BillAnswer) error {
	if a.Rule != "" {
		err := fmt.Errorf("%w: rule %.40s: %w", a.Class, a.Rule, gate.Rule(a.Rule))
		switch gate.Rule(a.Rule) {
		case gate.Short:
			return fmt.Errorf("%w: bill at least 7 days at once, or the min_days that the TTP has set, or say with --ends that the tariff or the tenancy ends", err)
		case gate.NotOver:
			return fmt.Errorf("%w: ask again from %s on", err, r.local(r.request.To))
		}
		return err
	}
	switch a.Class {
	case wire.Unknown:
		return fmt.Errorf("%w: the TTP has no such meter: it is billed once it is enrolled", a.Class)
	case wire.Incomplete:
		return fmt.Errorf("%w: the TTP lacks readings at the start or the end of the period, or of over 7 days at a change of the meter: "+
			"ask again when they have come, or for a period that readings enclose", a.Class)
	case wire.NoTariff:
		return fmt.Errorf("%w: the tariff is not valid in the whole period", a.Class)
	case wire.NoPrice:
		return fmt.Errorf("%w: a price series of the tariff does not cover the period: put the rest of it first", a.Class)
	default:
		return a.Class
	}
}

// tariff is a tariff that PutTariff registered.
func (u *Utility) tariff(ctx context.Context, id string) (*tariff.Tariff, error) {
	var document []byte
	found, err := registry.Find(u.db.QueryRowContext(ctx, `SELECT document FROM tariffs WHERE id = ?`, id), &document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s: %w", id, err)
	}
	if !found {
		return nil, fmt.Errorf("%w: tariff %q is not registered; put it first", wire.NoTariff, id)
	}
	t, err := tariff.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("tariff %s: %w", id, err)
	}
	return t, nil
}

func (u *Utility) billKeys(ctx context.Context, t *trustee) (bill.KeySet, error) {
	var keys bill.KeySet
	var raw []byte
	if err := u.db.QueryRowContext(ctx, `SELECT bill_keys FROM ttps WHERE name = ?`, t.org).Scan(&raw); err != nil {
		return keys, fmt.Errorf("bill keys of TTP %s: %w", t.org, err)
	}
	return bill.ParseKeySet(raw)
}
