package consumer

import (
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// Bill is a bill or correction of a meter, as its consumer sees it.
type Bill struct {
	Ref      string // in URLs: of the bill's hash
	Document bill.Document
	// Content is what the bill says. It is as it is kept: the browser checks
	// it, and tells if it does not hold.
	Content bill.Bill
	From    time.Time
	To      time.Time
}

// BillKeys are what bills are checked with.
type BillKeys struct {
	JWKS []byte // of the TTP
	Log  string // of its log and the utility's witness; empty while nothing is cosigned
}

// BillEnergy is what a bill was made from, as far as readings give it now.
type BillEnergy struct {
	Secret    bill.Secret
	Intervals []BillInterval
	Days      bill.Days
	Leaves    []bill.Hash
	Same      bool       // the intervals' root is the bill's
	Change    BillChange // why it may be another
	Terms     *tariff.Tariff
}

// BillChange is why the intervals of a bill need not be those that it was made
// from (spec/portal.md section 10). It is empty where they must be.
type BillChange string

const (
	BillErased    BillChange = "erased"    // readings were erased
	BillLate      BillChange = "late"      // readings came late
	BillEstimates BillChange = "estimates" // estimates may be others, their sums not
)

// BillInterval is an interval of a bill, with its ESPI quality code.
type BillInterval struct {
	wattveil.Interval
	Quality uint8
}
