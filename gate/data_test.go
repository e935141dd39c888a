package gate_test

import (
	"bytes"
	"encoding/csv"
	"math"
	"strconv"
	"testing"

	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/internal/realinput"
)

// TestDayAhead bills each month of real hourly prices: how often energy and
// amount can be told together, how often the amount alone.
func TestDayAhead(t *testing.T) {
	g := newGate(t, gate.Settings{})
	for _, market := range []string{"DE", "NP"} {
		content := realinput.Read(t, "tariffs/dayahead-epftoolbox-apache2/"+market+"_dayahead_hourly.csv")
		rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		months := make(map[string][]int64)
		var order []string
		for _, row := range rows[1:] {
			perMWh, err := strconv.ParseFloat(row[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			name := row[0][:7]
			if months[name] == nil {
				order = append(order, name)
			}
			months[name] = append(months[name], int64(math.Round(perMWh*1e5)))
		}
		both, alone, refused := 0, 0, 0
		for _, name := range order {
			if len(months[name]) < 28*24-1 {
				continue // the file begins or ends within it
			}
			m := newMeter(t, g)
			switch d, err := m.bill(gate.Bill{Shape: shape(t, g, priced(at(name+"-01T00:00"), hour, months[name])), Tariff: t1}); {
			case err != nil:
				refused++
				t.Logf("%s %s: %v", market, name, err)
			case len(d.Tell) == 2:
				both++
			default:
				alone++
				t.Logf("%s %s: %v", market, name, d.Withheld[0])
			}
		}
		t.Logf("%s: %d months tell energy and amount, %d the amount alone, %d nothing", market, both, alone, refused)
		if both == 0 || refused > both {
			t.Errorf("%s: real prices can hardly be billed", market)
		}
	}
}
