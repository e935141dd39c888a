package consumer

import (
	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// Interval is the energy of one interval of a meter, how it is known and what
// it costs. It redacts itself, as the interval in it does.
type Interval struct {
	wattveil.Interval
	Quality uint16 // ESPI code (spec/vee.md section 5)
	// What the energies cost, exactly. A credit is negative.
	ImportCost, ExportCost tariff.Decimal
	Costed                 bool // the costs are known
}

// Estimated tells whether the code is one of estimation.
func (i *Interval) Estimated() bool { return i.Quality == 8 || i.Quality == 9 }
