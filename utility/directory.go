package utility

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// Meter is what the utility knows of a meter.
type Meter struct {
	ID        wattveil.MeterID
	TTP       string // organisation
	State     MeterState
	Pseudonym wattveil.Pseudonym // the last one; 0 before the meter has registered
	Sighting  Sighting           // zero if it was never heard of

	Replaces    wattveil.MeterID // in whose place it comes; 0 if none
	ReplacedBy  wattveil.MeterID // that comes in its place; 0 if none
	AwaitsKey   bool             // another user value is accepted once
	MoveAt      time.Time        // of a move that is to come
	MovedAt     time.Time        // from when on it has its pseudonym, if it came by a move
	RetiredAt   time.Time
	DrainsUntil time.Time // it takes nothing new, and is unknown from then on

	added int64 // place in the order of being added
}

// MeterState is how far a meter has come.
type MeterState string

// The states of a meter.
const (
	MeterAdded      MeterState = "added"      // known, with its secret
	MeterRegistered MeterState = "registered" // has a pseudonym and a key
	MeterEnrolled   MeterState = "enrolled"   // at its TTP
	MeterRefused    MeterState = "refused"    // by its TTP
	MeterDraining   MeterState = "draining"   // takes nothing new; replaced or retired
	MeterEnded      MeterState = "ended"      // has drained: its messages are not known any more
)

// meterColumns selects what scanMeter reads. The last statement of the last
// pseudonym counts.
const meterColumns = `
	SELECT m.id_sm, m.ttp, m.added, p.an_id, s.enrolled, h.heard, h.collector,
		coalesce(m.predecessor, 0), coalesce((SELECT q.id_sm FROM meters q WHERE q.predecessor = m.id_sm ORDER BY q.added DESC LIMIT 1), 0),
		m.rekey, m.move_at, p.since, m.retired, m.drained, m.gone
	FROM meters m
	LEFT JOIN pseudonyms p ON p.id_sm = m.id_sm
		AND p.base = (SELECT max(base) FROM pseudonyms WHERE id_sm = m.id_sm)
	LEFT JOIN statements s ON s.an_id = p.an_id
		AND s.serial = (SELECT max(serial) FROM statements WHERE an_id = p.an_id)
	LEFT JOIN sightings h ON h.id_sm = m.id_sm `

func (u *Utility) scanMeter(row interface{ Scan(...any) error }) (m Meter, err error) {
	var id, replaces, replacedBy int64
	var anID, enrolled, heard, moveAt, since, retired, drained sql.NullInt64
	var collector sql.NullString
	var gone bool
	err = row.Scan(&id, &m.TTP, &m.added, &anID, &enrolled, &heard, &collector,
		&replaces, &replacedBy, &m.AwaitsKey, &moveAt, &since, &retired, &drained, &gone)
	if err != nil {
		return Meter{}, err
	}
	m.Replaces, m.ReplacedBy = wattveil.MeterID(replaces), wattveil.MeterID(replacedBy)
	m.MoveAt, m.MovedAt, m.RetiredAt, m.DrainsUntil = second(moveAt), second(since), second(retired), second(drained)
	m.ID, m.State = wattveil.MeterID(id), MeterAdded
	if anID.Valid {
		m.Pseudonym, m.State = wattveil.Pseudonym(anID.Int64), MeterRegistered
	}
	switch enrolled.Int64 {
	case stateEnrolled:
		m.State = MeterEnrolled
	case stateRefused:
		m.State = MeterRefused
	}
	switch {
	case gone:
		m.State = MeterEnded
	case drained.Valid:
		m.State = MeterDraining
	}
	if heard.Valid {
		m.Sighting = Sighting{Heard: time.Unix(heard.Int64, 0), Collector: collector.String}
	}
	u.heard.mu.Lock()
	defer u.heard.mu.Unlock()
	if since, ok := u.heard.since[m.ID]; ok {
		m.Sighting = since
	}
	return m, nil
}

// second is a time of the registry; zero if there is none.
func second(n sql.NullInt64) time.Time {
	if n.Int64 == 0 {
		return time.Time{}
	}
	return time.Unix(n.Int64, 0)
}

// Meter finds one meter. It fails with wire.Unknown if there is none.
func (u *Utility) Meter(ctx context.Context, id wattveil.MeterID) (Meter, error) {
	m, err := u.scanMeter(u.db.QueryRowContext(ctx, meterColumns+`WHERE m.id_sm = ?`, int64(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return Meter{}, fmt.Errorf("%w: there is no meter %v", wire.Unknown, id)
	}
	if err != nil {
		return Meter{}, fmt.Errorf("find meter %v: %w", id, err)
	}
	return m, nil
}

// ListMeters gives at most limit meters in the order in which they were added,
// from a mark on, and the mark of the next ones, 0 if there are none. Marks
// begin at 0.
func (u *Utility) ListMeters(ctx context.Context, mark int64, limit int) (list []Meter, next int64, err error) {
	rows, err := u.db.QueryContext(ctx, meterColumns+`WHERE m.added > ? ORDER BY m.added LIMIT ?`, mark, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("list meters: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		m, err := u.scanMeter(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("list meters: %w", err)
		}
		list = append(list, m)
	}
	if len(list) == limit {
		next = list[len(list)-1].added
	}
	return list, next, rows.Err()
}

// Tariffs lists the tariffs that were put, by id.
func (u *Utility) Tariffs(ctx context.Context) (list []*tariff.Tariff, err error) {
	rows, err := u.db.QueryContext(ctx, `SELECT document FROM tariffs ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list tariffs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var document []byte
		if err := rows.Scan(&document); err != nil {
			return nil, fmt.Errorf("list tariffs: %w", err)
		}
		t, err := tariff.Parse(document)
		if err != nil {
			return nil, fmt.Errorf("list tariffs: %w", err)
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// KeptBill is a verified bill of the registry.
type KeptBill struct {
	Meter     wattveil.MeterID
	Pseudonym wattveil.Pseudonym
	TTP       string // organisation
	Tariff    string
	From, To  time.Time
	JWS       string
	Salt      bill.Salt
	// Correction: it replaces the bill with the same names.
	Correction bool
	// Document is the bill with its proof, for whoever checks it. It names no
	// meter.
	Document bill.Document

	row int64 // in the registry
}

// billColumns selects what scanBill reads. A bill is of the device that has its
// pseudonym now.
const billColumns = `
	SELECT b.id, m.id_sm, b.an_id, m.ttp, b.tariff, b.from_second, b.to_second, b.salt, b.jws, b.correction, b.place, b.hashes, c.note
	FROM bills b JOIN checkpoints c ON c.id = b.checkpoint JOIN meters m ON m.id_sm = (
		SELECT p.id_sm FROM pseudonyms p JOIN meters q ON q.id_sm = p.id_sm WHERE p.an_id = b.an_id ORDER BY q.added DESC LIMIT 1) `

func scanBill(row interface{ Scan(...any) error }) (b KeptBill, err error) {
	var id, anID, from, to int64
	var salt, hashes []byte
	proof := new(bill.Proof)
	err = row.Scan(&b.row, &id, &anID, &b.TTP, &b.Tariff, &from, &to, &salt, &b.JWS, &b.Correction, &proof.Index, &hashes, &proof.Checkpoint)
	if err != nil {
		return KeptBill{}, err
	}
	if len(salt) != len(b.Salt) {
		return KeptBill{}, fmt.Errorf("salt of a kept bill has %d bytes, want %d", len(salt), len(b.Salt))
	}
	copy(b.Salt[:], salt)
	b.Meter, b.Pseudonym = wattveil.MeterID(id), wattveil.Pseudonym(anID)
	b.From, b.To = time.Unix(from, 0), time.Unix(to, 0)
	for ; len(hashes) >= len(bill.Hash{}); hashes = hashes[len(bill.Hash{}):] {
		proof.Hashes = append(proof.Hashes, hashes[:len(bill.Hash{})])
	}
	b.Document = bill.Document{JWS: b.JWS, Salt: b.Salt.String(), Proof: proof}
	return b, nil
}

// KeptBills are the bills of a period that an earlier run has kept, of those of
// the meters that have one: the bill that was made first, not its correction, and
// after it the correction of an earlier bill that came with it: it was kept
// together with it, under the same checkpoint.
func (u *Utility) KeptBills(ctx context.Context, meters []wattveil.Pseudonym, tariffID string, from, to time.Time) (map[wattveil.Pseudonym][]KeptBill, error) {
	ids := make([]int64, len(meters))
	for i, p := range meters {
		ids[i] = int64(p)
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("find kept bills: %w", err)
	}
	rows, err := u.db.QueryContext(ctx, billColumns+`
		JOIN bills a ON a.an_id = b.an_id AND (b.id = a.id OR b.correction = 1 AND b.checkpoint = a.checkpoint)
		WHERE a.an_id IN (SELECT value FROM json_each(?)) AND a.tariff = ? AND a.from_second = ? AND a.to_second = ? AND a.correction = 0
		ORDER BY b.correction`, string(list), tariffID, from.Unix(), to.Unix())
	if err != nil {
		return nil, fmt.Errorf("find kept bills: %w", err)
	}
	kept, err := scanBills(rows)
	of := make(map[wattveil.Pseudonym][]KeptBill)
	for _, k := range kept {
		of[k.Pseudonym] = append(of[k.Pseudonym], k)
	}
	return of, err
}

func scanBills(rows *sql.Rows) (list []KeptBill, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		b, err := scanBill(rows)
		if err != nil {
			return nil, fmt.Errorf("kept bill: %w", err)
		}
		list = append(list, b)
	}
	return list, rows.Err()
}

// BillQuery chooses kept bills. What is zero chooses all.
type BillQuery struct {
	Meter    wattveil.MeterID // under all pseudonyms that it has had
	Tariff   string
	From, To time.Time // bills that begin in this time
	Mark     int64     // bills after the one that it was given for; 0 is from the first on
	Limit    int
}

// Bills lists kept bills by the start of their period, then by pseudonym, a
// correction behind the bill that it replaces. next is the mark of the bills
// after these, 0 if there are none. What is kept meanwhile moves no other bill
// to another part.
func (u *Utility) Bills(ctx context.Context, q BillQuery) (list []KeptBill, next int64, err error) {
	where, values := "b.from_second >= ?", []any{int64(0)}
	switch {
	case q.Mark != 0: // which is of a bill that began in this time
		where = afterMark
		if values, err = u.markedBill(ctx, q.Mark); err != nil {
			return nil, 0, fmt.Errorf("list bills: %w", err)
		}
	case !q.From.IsZero():
		values[0] = q.From.Unix()
	}
	if !q.To.IsZero() {
		where, values = where+" AND b.from_second < ?", append(values, q.To.Unix())
	}
	if q.Meter != 0 {
		where, values = where+" AND b.an_id IN (SELECT an_id FROM pseudonyms WHERE id_sm = ?)", append(values, int64(q.Meter))
	}
	if q.Tariff != "" {
		where, values = where+" AND b.tariff = ?", append(values, q.Tariff)
	}
	rows, err := u.db.QueryContext(ctx, billColumns+"WHERE "+where+" ORDER BY "+billOrder+" LIMIT ?", append(values, q.Limit)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list bills: %w", err)
	}
	list, err = scanBills(rows)
	if len(list) > 0 && len(list) == q.Limit {
		next = list[len(list)-1].row
	}
	return list, next, err
}

// billOrder is the order of kept bills, which the index bills_by_start has.
const (
	billOrder = "b.from_second, b.an_id, b.tariff, b.to_second, b.correction"
	afterMark = "(" + billOrder + ") > (?, ?, ?, ?, ?)"
)

// markedBill is the place of a bill in that order.
func (u *Utility) markedBill(ctx context.Context, mark int64) ([]any, error) {
	var from, anID, to int64
	var tariffID string
	var correction bool
	found, err := registry.Find(u.db.QueryRowContext(ctx, "SELECT "+billOrder+" FROM bills b WHERE b.id = ?", mark),
		&from, &anID, &tariffID, &to, &correction)
	if err == nil && !found {
		err = fmt.Errorf("%w: no bill has the mark %d", wire.Malformed, mark)
	}
	return []any{from, anID, tariffID, to, correction}, err
}

// BillKeys are the keys under which the bills of a TTP verify.
func (u *Utility) BillKeys(ctx context.Context, ttp string) (bill.KeySet, error) {
	t, err := u.trustee(ttp)
	if err != nil {
		return bill.KeySet{}, err
	}
	return u.billKeys(ctx, t)
}

// Trustee is what the utility knows of a TTP.
type Trustee struct {
	Org      string
	Enrolled bool
	Number   wattveil.UCNumber // of this utility at the TTP, if enrolled
	Serial   uint32            // of the TTP's key statement, if enrolled
	Root     [32]byte          // fingerprint of the TTP's root key, if enrolled
}

// Trustee describes a TTP.
func (u *Utility) Trustee(ctx context.Context, org string) (Trustee, error) {
	t, err := u.trustee(org)
	if err != nil {
		return Trustee{}, err
	}
	known, err := u.keysOf(ctx, t)
	if errors.Is(err, wire.Unavailable) {
		return Trustee{Org: t.org}, nil
	}
	if err != nil {
		return Trustee{}, err
	}
	root, err := rootFingerprint(known.rootKey[:])
	return Trustee{Org: t.org, Enrolled: true, Number: known.number, Serial: known.serial, Root: root}, err
}
