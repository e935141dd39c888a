package rating

import (
	"fmt"
	"strings"

	"github.com/wattveil/wattveil/tariff"
)

// Figure is what the demand lines of one charge and calendar month bill: the
// highest mean power of the month, or what a ratchet leaves of earlier ones.
type Figure struct {
	Demand  string // name of the charge
	Month   tariff.Month
	Watts   int64
	Minutes int  // length of the means
	Held    bool // due to earlier months
}

// Figures are those of one bill.
type Figures []Figure

// Add takes up what a line of a bill tells. Lines other than of demand tell
// nothing; those of one charge and month follow each other, and are its tiers.
func (f *Figures) Add(l Line) error {
	if l.Kind != KindDemand {
		return nil
	}
	watts, ok := thousandths(l.Quantity)
	if !ok || watts < 0 {
		return fmt.Errorf("rating: %.40q is no power in kW with 3 decimals", l.Quantity)
	}
	month, ok := tariff.ParseMonth(l.Month)
	if !ok {
		return fmt.Errorf("rating: %.40q is no month", l.Month)
	}
	if last := len(*f) - 1; last >= 0 && (*f)[last].Demand == l.Name && (*f)[last].Month == month {
		(*f)[last].Watts += watts
		return nil
	}
	*f = append(*f, Figure{
		Demand: l.Name, Month: month, Watts: watts, Minutes: l.Minutes, Held: strings.HasSuffix(l.Note, noteRatchet),
	})
	return nil
}

// Of finds the figure of a charge and month.
func (f Figures) Of(demand string, month tariff.Month) (Figure, bool) {
	for _, figure := range f {
		if figure.Demand == demand && figure.Month == month {
			return figure, true
		}
	}
	return Figure{}, false
}

// note says what is unusual about a figure.
func (f Figure) note(d tariff.Demand) string {
	var notes []string
	if f.Minutes > int(d.Length.Minutes()) {
		notes = append(notes, noteLonger)
	}
	if f.Held {
		notes = append(notes, noteRatchet)
	}
	return strings.Join(notes, "+")
}
