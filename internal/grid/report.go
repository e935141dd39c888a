package grid

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
	"github.com/wattveil/wattveil/utility"
)

// Report is what a run came to. It is its operator's: identities, pseudonyms
// and energy stand side by side in it, as they do in no party's folder.
type Report struct {
	Meters     []MeterReport     `json:"meters"`
	Bills      []BillReport      `json:"bills"`
	Claims     []ClaimReport     `json:"claims"`
	Keys       bill.KeySet       `json:"ttp_keys"`
	Log        transparency.Keys `json:"ttp_log"` // keys of the TTP's bill log and of the utility's witness
	Wire       WireReport        `json:"wire"`
	Lost       int64             `json:"lost"`              // readings held by a collector and not stored
	Duplicates int64             `json:"duplicates_stored"` // readings that count twice in the store
	Seconds    float64           `json:"seconds"`
}

// MeterReport is one meter's way.
type MeterReport struct {
	Column          string `json:"column"`
	MeterID         string `json:"meter_id"`
	Pseudonym       string `json:"pseudonym"`
	Registered      bool   `json:"registered"`
	Keyed           bool   `json:"keyed"`
	ReadingsSent    uint64 `json:"readings_sent"`
	ReadingsStored  int64  `json:"readings_stored"`
	IntervalsStored int64  `json:"intervals_stored"`
}

// BillReport is one household's bill.
type BillReport struct {
	Column    string         `json:"column"`
	Pseudonym string         `json:"pseudonym"`
	From      string         `json:"from"`
	To        string         `json:"to"`
	ImportKWh string         `json:"import_kwh"`
	ExportKWh string         `json:"export_kwh"`
	Lines     []LineReport   `json:"lines"`
	Total     string         `json:"total"`
	Currency  string         `json:"currency"`
	JWS       string         `json:"jws"`
	Document  *bill.Document `json:"document,omitempty"` // the JWS with what travels beside it
	Verified  bool           `json:"verified"`
	Error     string         `json:"error,omitempty"` // why there is no verified bill
}

// LineReport is a line of a bill. Unlike in the bill itself every member is
// always there: Band is empty for standing charges and tax.
type LineReport struct {
	Kind     string `json:"kind"`
	Band     string `json:"band"`
	Quantity string `json:"quantity"`
	Unit     string `json:"unit"`
	Price    string `json:"price"`
	Amount   string `json:"amount"`
}

// WireReport is what meters sent.
type WireReport struct {
	ReadingMessageBytes int   `json:"reading_message_bytes"`
	Messages            int64 `json:"messages"`
	BytesTotal          int64 `json:"bytes_total"`
}

// PutTariff registers the tariff that the bills go by.
func (g *Grid) PutTariff(ctx context.Context, document []byte) (*tariff.Tariff, error) {
	return g.utilityRole().PutTariff(ctx, document)
}

// Bill has the utility ask the TTP for every household's bill, and checks each
// once more as its consumer would, with the TTP's public keys alone.
func (g *Grid) Bill(ctx context.Context, tariffID string, from, to time.Time) ([]BillReport, error) {
	names, err := g.utilityRole().Meters(ctx)
	if err != nil {
		return nil, err
	}
	pseudonyms := make([]wattveil.Pseudonym, len(g.meters))
	for i, m := range g.meters {
		pseudonyms[i] = names[m.id]
	}
	billed, err := g.utilityRole().RunBills(ctx, pseudonyms, tariffID, from, to)
	if err != nil {
		return nil, err
	}
	keys, err := g.ttpRole().BillKeys()
	if err != nil {
		return nil, err
	}
	of := make(map[wattveil.Pseudonym]utility.Billed, len(billed)) // in the order of an-IDs
	for _, b := range billed {
		of[b.Pseudonym] = b
	}
	out := make([]BillReport, len(g.meters))
	for i, m := range g.meters {
		b := of[pseudonyms[i]]
		out[i] = BillReport{
			Column: m.column, Pseudonym: b.Pseudonym.String(), JWS: b.JWS,
			From: b.Bill.From, To: b.Bill.To, ImportKWh: b.Bill.ImportKWh, ExportKWh: b.Bill.ExportKWh,
			Lines: lines(b.Bill), Total: b.Bill.Total, Currency: b.Bill.Currency,
		}
		if err := b.Err; err != nil {
			out[i].Error = err.Error()
			out[i].From, out[i].To = from.Format(time.RFC3339), to.Format(time.RFC3339)
			continue
		}
		out[i].Document = &b.Document
		_, err := bill.Verify(b.JWS, keys)
		out[i].Verified = err == nil
	}
	return out, nil
}

func lines(b bill.Bill) []LineReport {
	out := make([]LineReport, len(b.Lines))
	for i, l := range b.Lines {
		out[i] = LineReport{Kind: l.Kind, Band: l.Band, Quantity: l.Quantity, Unit: l.Unit, Price: l.Price, Amount: l.Amount}
	}
	return out
}

// Report reads the outcome from the parties' stores.
func (g *Grid) Report(ctx context.Context, bills []BillReport, took time.Duration) (*Report, error) {
	r := &Report{Bills: bills, Claims: g.Claims(), Seconds: took.Seconds()}
	var err error
	if r.Keys, err = g.ttpRole().BillKeys(); err != nil {
		return nil, err
	}
	if r.Log, err = g.utilityRole().LogKeys(ctx, TTPOrg); err != nil {
		return nil, err
	}
	names, err := g.utilityRole().Meters(ctx)
	if err != nil {
		return nil, err
	}
	count := g.audit.count()
	r.Wire = WireReport{ReadingMessageBytes: count.ReadingMessageBytes, Messages: count.Messages, BytesTotal: count.Bytes}
	for _, m := range g.meters {
		status := m.agent.Status()
		p, registered := names[m.id]
		folded, err := g.store().Read(ctx, g.meterAtTTP(p), g.cfg.Start, g.cfg.End)
		if err != nil {
			return nil, fmt.Errorf("count what is stored: %w", err)
		}
		stored := countStored(folded, g.cfg.Resolution)
		r.Duplicates += stored.duplicates
		if expected := (g.cfg.End-g.cfg.Start)/int64(g.cfg.Resolution) + 1; stored.readings < expected {
			lost, err := g.lost(ctx, m, p)
			if err != nil {
				return nil, err
			}
			r.Lost += min(lost, expected-stored.readings)
		}
		r.Meters = append(r.Meters, MeterReport{
			Column: m.column, MeterID: m.id.String(), Pseudonym: p.String(),
			Registered: registered, Keyed: m.keyed(), ReadingsSent: status.ReadingsSent,
			ReadingsStored: stored.readings, IntervalsStored: stored.intervals,
		})
	}
	return r, nil
}

// storedCount is what a store holds of one meter.
type storedCount struct {
	readings   int64
	intervals  int64 // neighbours in a series, one resolution apart
	duplicates int64 // readings of a time that another one has, in this or another series
}

func countStored(folded readings.Folded, res wattveil.Resolution) storedCount {
	var c storedCount
	times := make(map[int64]bool)
	for _, run := range folded.Runs {
		for i, r := range run.Readings {
			if times[r.Time] {
				c.duplicates++
				continue
			}
			times[r.Time] = true
			c.readings++
			if i > 0 && r.Time-run.Readings[i-1].Time == int64(res) {
				c.intervals++
			}
		}
	}
	return c
}

// JSON is the report as it is written to a file.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// Err is why the outcome is not what a user may rely on, or nil.
func (r *Report) Err() error {
	if r.Lost != 0 || r.Duplicates != 0 {
		return fmt.Errorf("%d readings lost, %d stored twice", r.Lost, r.Duplicates)
	}
	for _, b := range r.Bills {
		if !b.Verified {
			return fmt.Errorf("no verified bill for %s: %s", b.Column, b.Error)
		}
	}
	return nil
}
