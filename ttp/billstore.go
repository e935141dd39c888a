package ttp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/rating"
)

// billQueries are those that run for each bill.
type billQueries struct {
	shape, keepBill, keepShape, keepHistory, keepDisclosure, keepPeak, keepPlace *sql.Stmt
}

func (q *billQueries) prepare(ctx context.Context, db *sql.DB) error {
	return prepare(ctx, db, []prepared{
		{&q.shape, `SELECT shape FROM shapes WHERE digest = ?`},
		{&q.keepBill, `INSERT INTO bills (uc, an_id, tariff, from_second, to_second, correction, given_with, salt, secret, jws, issued, shape, open)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&q.keepShape, `INSERT INTO shapes (digest, shape) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&q.keepHistory, `INSERT INTO histories (uc, an_id, history) VALUES (?, ?, ?)
			ON CONFLICT (uc, an_id) DO UPDATE SET history = excluded.history`},
		{&q.keepDisclosure, `INSERT INTO disclosures (uc, an_id, kind, tariff, from_second, to_second, told, withheld, rule, at, last, times)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 1)
			ON CONFLICT (uc, an_id, tariff, from_second, to_second, kind, rule) WHERE rule <> ''
			DO UPDATE SET last = excluded.last, times = times + 1`},
		{&q.keepPeak, `INSERT INTO peaks (uc, an_id, demand, month, watts) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET watts = max(watts, excluded.watts)`},
		{&q.keepPlace, `INSERT INTO log_places (bill, place) VALUES (?, ?)
			ON CONFLICT (bill) DO UPDATE SET place = place RETURNING place`},
	})
}

// keptBill is a bill of the registry.
type keptBill struct {
	id       int64
	tariff   string
	from, to int64
	salt     bill.Salt
	jws      string
	place    sql.NullInt64 // in the log
}

// openBill is an earlier bill that late readings may still correct.
type openBill struct {
	id       int64
	tariff   string
	from, to int64
	issued   int64
	told     gate.Digest
	jws      string
	rule     gate.Rule // by which it may not be corrected, once that is known
}

// madeBill is a bill that is not durable yet.
type madeBill struct {
	salt   bill.Salt
	secret bill.Secret
	jws    string
	shape  *gate.Shape
	open   bool
}

type madeCorrection struct {
	*madeBill
	of       *openBill
	decision gate.Decision
}

// file is what is known of a meter when its bill is decided on, and what
// follows.
type file struct {
	*draft
	history *gate.History
	open    []openBill

	decision   gate.Decision
	refusal    *gate.Refusal
	made       *madeBill
	correction *madeCorrection
	carried    *openBill // whose difference is in the bill
	closed     []int64   // bills that stay as they are from now on
	unsettled  []openBill
}

func unixTime(s int64) time.Time { return time.Unix(s, 0) }

// ids are the an-IDs of drafts as a JSON list, for json_each: one query looks
// for all of them.
func ids(drafts []*draft) (list string, of map[int64]*draft) {
	of = make(map[int64]*draft, len(drafts))
	b := make([]byte, 0, 21*len(drafts)+2)
	b = append(b, '[')
	for i, d := range drafts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(d.meter.Pseudonym), 10)
		of[int64(d.meter.Pseudonym)] = d
	}
	return string(append(b, ']')), of
}

// each runs a query and scans its rows one by one.
func each(ctx context.Context, db queryer, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// findKept gives drafts the bills that were made before.
func (r *billRun) findKept(ctx context.Context, drafts []*draft) error {
	list, of := ids(drafts)
	byID := make(map[int64]*draft)
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var anID int64
		k := &keptBill{tariff: r.period.terms.ID(), from: r.period.from.Unix(), to: r.period.to.Unix()}
		if err := scanKept(rows, k, &anID); err != nil {
			return err
		}
		of[anID].kept = k
		byID[k.id] = of[anID]
		return nil
	}, `SELECT b.id, b.salt, b.jws, p.place, b.an_id FROM bills b LEFT JOIN log_places p ON p.bill = b.id
		WHERE b.uc = ?1 AND b.tariff = ?2 AND b.from_second = ?3 AND b.to_second = ?4 AND b.correction = 0
		AND b.an_id IN (SELECT value FROM json_each(?5))`,
		r.uc, r.period.terms.ID(), r.period.from.Unix(), r.period.to.Unix(), list)
	if err == nil && len(byID) > 0 {
		err = r.findGiven(ctx, byID)
	}
	if err != nil {
		return fmt.Errorf("find bills of utility %v: %w", r.uc, err)
	}
	return nil
}

func scanKept(rows *sql.Rows, k *keptBill, more ...any) error {
	var salt []byte
	if err := rows.Scan(append([]any{&k.id, &salt, &k.jws, &k.place}, more...)...); err != nil {
		return err
	}
	if len(salt) != len(k.salt) {
		return fmt.Errorf("salt of bill %d has %d bytes", k.id, len(salt))
	}
	k.salt = bill.Salt(salt)
	return nil
}

// findGiven finds the corrections that were given with bills.
func (r *billRun) findGiven(ctx context.Context, byID map[int64]*draft) error {
	list := make([]string, 0, len(byID))
	for id := range byID {
		list = append(list, strconv.FormatInt(id, 10))
	}
	return each(ctx, r.db, func(rows *sql.Rows) error {
		var k keptBill
		var with int64
		if err := scanKept(rows, &k, &k.tariff, &k.from, &k.to, &with); err != nil {
			return err
		}
		byID[with].given = &k
		return nil
	}, `SELECT b.id, b.salt, b.jws, p.place, b.tariff, b.from_second, b.to_second, b.given_with
		FROM bills b LEFT JOIN log_places p ON p.bill = b.id
		WHERE b.given_with IN (SELECT value FROM json_each(?))`, "["+strings.Join(list, ",")+"]")
}

// findMeters tells which meters are enrolled, and their newest series.
func (r *billRun) findMeters(ctx context.Context, drafts []*draft) error {
	list, of := ids(drafts)
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var anID int64
		var serial uint32
		if err := rows.Scan(&anID, &serial); err != nil {
			return err
		}
		of[anID].known, of[anID].newest = true, wattveil.Series(serial)
		return nil
	}, `SELECT m.an_id, coalesce((SELECT max(s.serial) FROM statements s WHERE s.uc = m.uc AND s.an_id = m.an_id), 0)
		FROM meters m WHERE m.uc = ?1 AND m.an_id IN (SELECT value FROM json_each(?2))`, r.uc, list)
	if err != nil {
		return fmt.Errorf("find meters of utility %v: %w", r.uc, err)
	}
	return nil
}

// findPeaks finds the peaks of earlier months for the tariff's ratchets.
func (r *billRun) findPeaks(ctx context.Context, drafts []*draft) error {
	list, of := ids(drafts)
	for _, demand := range r.period.terms.Demands() {
		if demand.Ratchet == nil {
			continue
		}
		err := each(ctx, r.db, func(rows *sql.Rows) error {
			var anID int64
			p := rating.Peak{Demand: demand.Name}
			if err := rows.Scan(&anID, &p.Month, &p.Watts); err != nil {
				return err
			}
			of[anID].peaks = append(of[anID].peaks, p)
			return nil
		}, `SELECT an_id, month, watts FROM peaks WHERE uc = ?1 AND an_id IN (SELECT value FROM json_each(?2)) AND demand = ?3`,
			r.uc, list, demand.Name)
		if err != nil {
			return fmt.Errorf("find peaks of utility %v: %w", r.uc, err)
		}
	}
	return nil
}

// files opens the files of meters.
func (r *billRun) files(ctx context.Context, drafts []*draft) ([]file, error) {
	list, _ := ids(drafts)
	files := make([]file, len(drafts))
	place := make(map[int64]*file, len(drafts))
	for i, d := range drafts {
		files[i] = file{draft: d, history: &gate.History{}}
		place[int64(d.meter.Pseudonym)] = &files[i]
	}
	err := each(ctx, r.db, func(rows *sql.Rows) error {
		var anID int64
		var raw []byte
		if err := rows.Scan(&anID, &raw); err != nil {
			return err
		}
		var err error
		place[anID].history, err = gate.ParseHistory(raw)
		return err
	}, `SELECT an_id, history FROM histories WHERE uc = ?1 AND an_id IN (SELECT value FROM json_each(?2))`, r.uc, list)
	if err != nil {
		return nil, fmt.Errorf("histories of utility %v: %w", r.uc, err)
	}
	err = each(ctx, r.db, func(rows *sql.Rows) error {
		var anID int64
		var o openBill
		var told []byte
		if err := rows.Scan(&anID, &o.id, &o.tariff, &o.from, &o.to, &o.issued, &told, &o.jws); err != nil {
			return err
		}
		o.told = gate.Digest(told)
		place[anID].open = append(place[anID].open, o)
		return nil
	}, `SELECT an_id, id, tariff, from_second, to_second, issued, shape, jws FROM bills
		WHERE open = 1 AND uc = ?1 AND an_id IN (SELECT value FROM json_each(?2)) AND NOT EXISTS (
			SELECT 1 FROM choices c WHERE c.uc = bills.uc AND c.an_id = bills.an_id AND (c.no_corrections = 1 OR c.profile = 'totals'))
		ORDER BY from_second`, r.uc, list)
	if err != nil {
		return nil, fmt.Errorf("open bills of utility %v: %w", r.uc, err)
	}
	return files, nil
}

// keep makes what was decided durable.
func (r *billRun) keep(ctx context.Context, files []file) error {
	if len(files) == 0 {
		return nil
	}
	kept := make([]*keptBill, len(files))
	given := make([]*keptBill, len(files))
	err := registry.Tx(ctx, r.db, func(tx *sql.Tx) error {
		k, err := r.newKeeper(ctx, tx)
		if err != nil {
			return err
		}
		for i := range files {
			f := &files[i]
			if f.made == nil {
				if err := k.refusal(f); err != nil {
					return err
				}
				continue
			}
			if kept[i], given[i], err = k.file(f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range files {
		files[i].kept, files[i].given = kept[i], given[i]
	}
	return nil
}

// keeper writes files in one transaction.
type keeper struct {
	*billRun
	ctx    context.Context
	shapes map[gate.Digest]bool // written or there

	bill, shape, history, disclosure, peak *sql.Stmt
	tx                                     *sql.Tx
}

func (r *billRun) newKeeper(ctx context.Context, tx *sql.Tx) (*keeper, error) {
	k := &keeper{billRun: r, ctx: ctx, tx: tx, shapes: make(map[gate.Digest]bool)}
	for _, s := range []struct{ to, from **sql.Stmt }{
		{&k.bill, &r.queries.keepBill}, {&k.shape, &r.queries.keepShape}, {&k.history, &r.queries.keepHistory},
		{&k.disclosure, &r.queries.keepDisclosure}, {&k.peak, &r.queries.keepPeak},
	} {
		*s.to = tx.StmtContext(ctx, *s.from)
	}
	return k, nil
}

// file keeps a meter's bill with all that goes with it.
func (k *keeper) file(f *file) (kept, given *keptBill, err error) {
	p := k.period
	if kept, err = k.keepBill(f, f.made, p.terms.ID(), p.from.Unix(), p.to.Unix(), nil); err != nil {
		return nil, nil, err
	}
	if c := f.correction; c != nil {
		if given, err = k.keepBill(f, c.madeBill, c.of.tariff, c.of.from, c.of.to, kept.id); err != nil {
			return nil, nil, err
		}
		if err := k.disclose(f, DisclosedCorrection, given, &c.decision, nil); err != nil {
			return nil, nil, err
		}
	}
	_, err = k.history.ExecContext(k.ctx, k.uc, int64(f.meter.Pseudonym), f.decision.History.Bytes())
	if err != nil {
		return nil, nil, err
	}
	if err := k.disclose(f, DisclosedBill, kept, &f.decision, f.demand); err != nil {
		return nil, nil, err
	}
	for _, o := range f.unsettled {
		if err := k.refuse(f, DisclosedUnsettled, o.tariff, o.from, o.to, o.rule); err != nil {
			return nil, nil, err
		}
	}
	return kept, given, k.rest(f)
}

// rest keeps peaks and closes bills.
func (k *keeper) rest(f *file) error {
	for _, peak := range f.rated.Peaks {
		if _, err := k.peak.ExecContext(k.ctx, k.uc, int64(f.meter.Pseudonym), peak.Demand, int(peak.Month), peak.Watts); err != nil {
			return err
		}
	}
	for _, id := range f.closed {
		if _, err := k.tx.ExecContext(k.ctx, `UPDATE bills SET open = 0 WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) keepBill(f *file, b *madeBill, tariff string, from, to int64, with any) (*keptBill, error) {
	if err := k.keepShape(b.shape); err != nil {
		return nil, err
	}
	digest := b.shape.Digest()
	secret := k.seal.Seal(secretContext, b.secret[:])
	done, err := k.bill.ExecContext(k.ctx, k.uc, int64(f.meter.Pseudonym), tariff, from, to, with != nil, with,
		b.salt[:], secret, b.jws, k.now, digest[:], b.open)
	if err != nil {
		return nil, err
	}
	id, err := done.LastInsertId()
	return &keptBill{id: id, tariff: tariff, from: from, to: to, salt: b.salt, jws: b.jws}, err
}

const secretContext = "bills.secret"

func (k *keeper) keepShape(s *gate.Shape) error {
	digest := s.Digest()
	if k.shapes[digest] {
		return nil
	}
	k.shapes[digest] = true
	_, err := k.shape.ExecContext(k.ctx, digest[:], s.Bytes())
	return err
}
