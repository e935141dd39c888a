package consumer

import (
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// Fault is why energy cannot be priced.
type Fault string

// The faults.
const (
	NoTariff  Fault = "no-tariff"  // none is known for the meter
	NoEnergy  Fault = "no-energy"  // there are no readings
	NotValid  Fault = "not-valid"  // the tariff is not valid in all of the time
	NoPrice   Fault = "no-price"   // a price series that it names has no price
	NotRating Fault = "not-rating" // anything else that stands against it
)

// Due is what energy of a time costs, or would: the lines of a bill.
type Due struct {
	Lines []bill.Line
	Total tariff.Decimal
	Fault Fault // empty if Lines and Total hold
}

// Offer is a tariff that the meter's utility has registered.
type Offer struct {
	Terms      *tariff.Tariff
	Registered time.Time
	Yours      bool // the meter's bills are by it
	Due        Due  // what the energy of Offers would have cost
}

// Offers are all tariffs of a meter's utility, and what each makes of the
// meter's energy from one local day to another.
type Offers struct {
	Zone               *time.Location
	From, To           time.Time // equal if there are no readings
	Import, Export     wattveil.Wh
	Estimated, Missing int64 // seconds
	List               []Offer
	Limits             []Limit // of the utility's disclosure gate
}

// MaxOfferMonths is how many months of energy offers can be about.
const MaxOfferMonths = 36

// Outlook is the running period of a meter since its newest bill: what it costs
// so far, and what it may come to.
type Outlook struct {
	Zone     *time.Location
	Tariff   string // id; empty if none is known
	Currency string
	Decimals int
	Billed   bool      // From is the end of a bill
	From     time.Time // of the period
	Until    time.Time // of the last reading in it
	To       time.Time // of the period, as is expected
	SoFar    Due
	Import   wattveil.Wh // so far
	Export   wattveil.Wh

	Estimated, Missing int64 // seconds so far

	Forecast       bool // what follows holds
	Like           int  // the fewest like days that a day was made from
	Low, Mean, Top Due
	ImportMean     wattveil.Wh // of the whole period
	Days           []OutlookDay
}

// OutlookDay is a local day of the period. Today may be both measured and
// forecast in part.
type OutlookDay struct {
	Start          time.Time
	Measured       wattveil.Wh // imported; estimated included
	Known          bool        // any of it
	Missing        bool        // a part that is past is not known
	Low, Mean, Top wattveil.Wh // still to come
}
