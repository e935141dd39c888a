package vee_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/realinput"
	"github.com/wattveil/wattveil/vee"
)

// wide reads a wide CSV of kWh by interval and gives each column's readings;
// negative values are export.
func wide(t testing.TB, name string, zone *time.Location, step int64, columns int) [][]wattveil.Reading {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(realinput.Read(t, name))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.ParseInLocation("2006-01-02T15:04", rows[1][0], zone)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]wattveil.Reading
	for c := 1; c <= columns && c < len(rows[0]); c++ {
		r := wattveil.Reading{Time: start.Unix()}
		rs := []wattveil.Reading{r}
		for _, row := range rows[1:] {
			wh := kWh(t, row[c])
			r.Time += step
			r.Import, r.Export = r.Import.Add(wattveil.Wh(max(wh, 0))), r.Export.Add(wattveil.Wh(max(-wh, 0)))
			rs = append(rs, r)
		}
		out = append(out, rs)
	}
	return out
}

func kWh(t testing.TB, s string) int64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(math.Round(v * 1000))
}

// TestRealGaps edits the Australian homes month by month: wherever registers
// enclose a gap, the total of all months is the difference of the registers.
// The file does not tell what passed in its gaps; the test puts there the mean.
func TestRealGaps(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(realinput.Read(t, "homes-sgsc-30min/sgsc_10homes_30min_kwh.csv.gz")))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	const step = 1800
	homes, gaps := make(map[string][]wattveil.Reading), 0
	for _, row := range rows[1:] {
		at, err := time.Parse("2006-01-02T15:04", row[1])
		if err != nil {
			t.Fatal(err)
		}
		rs := homes[row[0]]
		start := at.Unix()
		switch n := len(rs); {
		case n == 0:
			rs = append(rs, wattveil.Reading{Time: start})
		case rs[n-1].Time > start: // repeated label
			continue
		case rs[n-1].Time < start:
			gaps++
			missed := (start - rs[n-1].Time) / step * 300
			rs = append(rs, wattveil.Reading{Time: start, Import: rs[n-1].Import.Add(wattveil.Wh(missed))})
		}
		last := rs[len(rs)-1]
		homes[row[0]] = append(rs, wattveil.Reading{Time: start + step, Import: last.Import.Add(wattveil.Wh(kWh(t, row[2])))})
	}
	if gaps == 0 {
		t.Fatal("the file has no gaps")
	}
	estimated, all, byReference := 0, 0, 0
	for name, rs := range homes {
		first, last := rs[0], rs[len(rs)-1]
		var sum wattveil.Wh
		for from := first.Time; from < last.Time; {
			to := min(last.Time, time.Unix(from, 0).UTC().AddDate(0, 1, 0).Unix())
			r := edit(t, one(rs), step, from, to, vee.Options{})
			checkCover(t, r, step, from, to)
			if len(r.Holes) > 0 {
				t.Fatalf("home %s has a hole", name)
			}
			for _, iv := range r.Intervals {
				sum += iv.Import
				if iv.Method == vee.Reference {
					byReference++
				}
			}
			estimated, all = estimated+r.Estimated.Intervals, all+r.Estimated.Of
			from = to
		}
		if sum != last.Import.Since(first.Import) {
			t.Errorf("home %s: months do not sum to the registers", name)
		}
	}
	t.Logf("%d homes, %d gaps: %d of %d intervals estimated, %d of them by reference days", len(homes), gaps, estimated, all, byReference)
}

// errorOf cuts gaps of one length into complete homes and gives the mean
// absolute error of the estimated intervals in percent of the mean interval.
func errorOf(t testing.TB, homes [][]wattveil.Reading, step, length int64, o vee.Options) float64 {
	rnd := rand.New(rand.NewPCG(uint64(length), 2))
	var errs, truth float64
	for _, rs := range homes {
		n := int(length / step)
		for range 5 {
			at := 1 + rnd.IntN(len(rs)-n-1)
			cut := slices.Concat(rs[:at], rs[at+n-1:])
			if n == 1 {
				cut = rs
			}
			from, to := rs[0].Time, rs[len(rs)-1].Time
			r := edit(t, one(cut), wattveil.Resolution(step), max(from, rs[at].Time-length), min(to, rs[at].Time+2*length), o)
			first := int((r.Intervals[0].Start - from) / step)
			var sum, measured wattveil.Wh
			for k, iv := range r.Intervals {
				if iv.Quality.Estimated() {
					real := rs[first+k+1].Import.Since(rs[first+k].Import)
					errs += math.Abs(float64(iv.Import - real))
					sum, measured = sum+iv.Import, measured+real
				}
			}
			if sum != measured {
				t.Errorf("a gap of %d s is estimated at another energy than passed", length)
			}
			truth += float64(measured)
		}
	}
	return 100 * errs / truth
}

// TestErrorOfEstimates reports how far estimates are from what was measured.
// The sum over each gap is exact; only the shape is at stake.
func TestErrorOfEstimates(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		name string
		zone *time.Location
		step int64
		file string
	}{
		{"Swiss homes, 15 min", zurich, 900, "homes-ch-15min/ch_100homes_49d_15min_kwh.csv"},
		{"Californian homes with PV, 60 min", time.FixedZone("", -8*3600), 3600, "homes-citylearn-pv-60min/citylearn_17homes_net_wide.csv"},
	} {
		homes := wide(t, set.file, set.zone, set.step, 20)
		t.Logf("%s: mean absolute error in %% of the mean estimated interval", set.name)
		t.Logf("%8s %8s %10s", "gap", "linear", "reference")
		for _, h := range []int64{1, 2, 3, 4, 6, 12, 24, 72} {
			if h*hour/set.step < 2 {
				continue
			}
			line := errorOf(t, homes, set.step, h*hour, vee.Options{Zone: set.zone, LinearUpTo: vee.Margin})
			like := errorOf(t, homes, set.step, h*hour, vee.Options{Zone: set.zone, LinearUpTo: time.Second})
			t.Logf("%6d h %8.1f %10.1f", h, line, like)
			// Any spread of the right total errs by less than 200 %.
			if line <= 0 || line >= 200 || like <= 0 || like >= 200 {
				t.Errorf("%d h: error of %.1f and %.1f %%", h, line, like)
			}
			if h >= 12 && like > line {
				t.Errorf("%d h: reference days err more (%.1f %%) than a line (%.1f %%)", h, like, line)
			}
		}
	}
}
