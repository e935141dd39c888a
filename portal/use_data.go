package portal

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// useData is use for a script: columns of equal length, one place a bucket.
// Energies are Wh, null where nothing is known; costs are decimals.
type useData struct {
	Zone      string            `json:"zone"`
	Currency  string            `json:"currency,omitempty"`
	Bands     []bandData        `json:"bands"`
	From      int64             `json:"from"`
	To        int64             `json:"to"`
	Start     []int64           `json:"start"`
	End       []int64           `json:"end"`
	Import    []*int64          `json:"import"`
	ByBand    [][]int64         `json:"by_band"` // for each band, then of no band
	Export    []*int64          `json:"export"`
	Estimated []int64           `json:"estimated"`
	Missing   []int64           `json:"missing"` // seconds
	Cost      []json.RawMessage `json:"cost,omitempty"`
	Compare   []*int64          `json:"compare,omitempty"`
}

type bandData struct {
	Name  string `json:"name"`
	Class string `json:"class"`
}

const mostPoints = 1500 // of a chart

// useJSON answers the data of a chart: of a period by kind and date, or from
// one time to another, as finely as makes sense.
func useJSON(v *visit) error {
	q := v.r.URL.Query()
	if q.Get("from") != "" || q.Get("to") != "" {
		asked, err := parseZoom(q)
		if err != nil {
			return err
		}
		u, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, asked)
		if err != nil {
			return err
		}
		return v.writeJSON(200, dataOf(&u, nil, q.Get("cost") != ""))
	}
	_, u, compare, err := v.askedUse(q)
	if err != nil {
		return err
	}
	return v.writeJSON(200, dataOf(u, compare, q.Get("cost") != ""))
}

// parseZoom reads a stretch of time in Unix seconds and chooses the finest step
// that gives not too many points.
func parseZoom(q url.Values) (consumer.Query, error) {
	from, err := strconv.ParseInt(q.Get("from"), 10, 64)
	if err != nil || from < earliest.Unix() || from > latest.Unix() {
		return consumer.Query{}, badRequest{"from", text{"Unix seconds", "Unix-Sekunden"}}
	}
	to, err := strconv.ParseInt(q.Get("to"), 10, 64)
	if err != nil || to <= from || to > latest.Unix() {
		return consumer.Query{}, badRequest{"to", text{"Unix seconds after from", "Unix-Sekunden nach from"}}
	}
	return consumer.Query{From: time.Unix(from, 0), To: time.Unix(to, 0), Step: zoomStep(to - from)}, nil
}

func zoomStep(seconds int64) consumer.Step {
	for _, step := range [...]int64{1, 5, 10, 60, 300, 900, 3600} {
		if seconds/step <= mostPoints {
			return consumer.Seconds(step)
		}
	}
	if seconds/(24*3600) <= mostPoints {
		return consumer.Day
	}
	return consumer.Month
}

func dataOf(u, compare *consumer.Use, withCost bool) useData {
	d := useData{Zone: u.Zone.String(), Bands: []bandData{}, From: u.Total.Start, To: u.Total.End, ByBand: make([][]int64, len(u.Bands)+1)}
	classes := bandClasses(u.Bands)
	for i, b := range u.Bands {
		d.Bands = append(d.Bands, bandData{b.Name, classes[i]})
	}
	for i := range u.Buckets {
		d.add(&u.Buckets[i])
		if compare != nil {
			d.Compare = append(d.Compare, importOf(bucketAt(compare, i)))
		}
	}
	if withCost && u.Currency != "" {
		d.Currency = u.Currency
		for i := range u.Buckets {
			d.Cost = append(d.Cost, costOf(&u.Buckets[i]))
		}
	}
	return d
}

func (d *useData) add(b *consumer.Bucket) {
	d.Start, d.End = append(d.Start, b.Start), append(d.End, b.End)
	d.Import = append(d.Import, importOf(b))
	var export *int64
	if b.Known() {
		wh := int64(b.Export)
		export = &wh
	}
	d.Export = append(d.Export, export)
	d.Estimated, d.Missing = append(d.Estimated, int64(b.EstimatedImport)), append(d.Missing, b.Missing)
	for band := range d.ByBand {
		d.ByBand[band] = append(d.ByBand[band], 0)
	}
	for _, s := range b.Shares {
		band := s.Band
		if band == consumer.NoBand {
			band = len(d.ByBand) - 1
		}
		d.ByBand[band][len(d.Start)-1] = int64(s.Import)
	}
}

func importOf(b *consumer.Bucket) *int64 {
	if b == nil || !b.Known() {
		return nil
	}
	wh := int64(b.Import)
	return &wh
}

func costOf(b *consumer.Bucket) json.RawMessage {
	if !b.Costed {
		return json.RawMessage("null")
	}
	return json.RawMessage(b.Cost.String())
}
