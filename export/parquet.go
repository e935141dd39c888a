package export

import (
	"io"
	"math/big"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// parquetRow is a row of section 4.
type parquetRow struct {
	Start      time.Time `parquet:"start,timestamp"`
	Seconds    int32     `parquet:"seconds"`
	Import     int64     `parquet:"import_wh"`
	Export     int64     `parquet:"export_wh"`
	Quality    int32     `parquet:"quality"`
	ImportCost *int64    `parquet:"import_cost,optional,decimal(8:18)"`
	ExportCost *int64    `parquet:"export_cost,optional,decimal(8:18)"`
}

const (
	parquetGroup  = 1 << 15 // rows
	parquetPlaces = 8
)

// parquetForm writes a group of rows at a time, which is all that it holds.
type parquetForm struct {
	w     *parquet.GenericWriter[parquetRow]
	costs bool
	rows  []parquetRow
	group int
}

func newParquet(w io.Writer, h Header) *parquetForm {
	p := &parquetForm{costs: h.Currency != "", rows: make([]parquetRow, 0, 512)}
	p.w = parquet.NewGenericWriter[parquetRow](w,
		parquet.Compression(&parquet.Snappy), parquet.CreatedBy("wattveil", "1", ""),
		parquet.KeyValueMetadata("wattveil.zone", h.Zone.String()), parquet.KeyValueMetadata("wattveil.currency", h.Currency))
	return p
}

func (p *parquetForm) Write(i *consumer.Interval) error {
	row := parquetRow{
		Start: time.Unix(i.Start, 0).UTC(), Seconds: int32(i.End - i.Start),
		Import: int64(i.Import), Export: int64(i.Export), Quality: int32(i.Quality),
	}
	if p.costs && i.Costed {
		row.ImportCost, row.ExportCost = scaled(i.ImportCost, parquetPlaces), scaled(i.ExportCost, parquetPlaces)
	}
	if p.rows = append(p.rows, row); len(p.rows) < cap(p.rows) {
		return nil
	}
	return p.flush()
}

func (p *parquetForm) flush() error {
	if _, err := p.w.Write(p.rows); err != nil {
		return err
	}
	p.group += len(p.rows)
	p.rows = p.rows[:0]
	if p.group < parquetGroup {
		return nil
	}
	p.group = 0
	return p.w.Flush()
}

func (p *parquetForm) Close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}

// scaled is an amount as a whole number of units of its last place, rounded
// half away from zero, or nil if it has more than 18 digits.
func scaled(d tariff.Decimal, places int) *int64 {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	r := d.Rat()
	n := tariff.RoundRat(r.Mul(r, new(big.Rat).SetInt(unit)), 0).Rat().Num()
	const most = 1_000_000_000_000_000_000
	if !n.IsInt64() || n.Int64() <= -most || n.Int64() >= most {
		return nil
	}
	units := n.Int64()
	return &units
}
