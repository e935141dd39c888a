package consumer

import (
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
)

// Step is what a bucket of use covers.
type Step int64

// Steps that are no number of seconds.
const (
	Own   Step = 0  // the meter's own interval
	Day   Step = -1 // a local day
	Month Step = -2 // a local calendar month
)

// Seconds is a step of whole seconds, at most an hour. A step that is no
// multiple of the meter's own interval is raised to the next.
func Seconds(n int64) Step { return Step(n) }

// Query asks for a meter's use from one time to another, cut into buckets.
type Query struct {
	From, To time.Time
	Step     Step
}

// MaxBuckets is how many buckets an answer may have.
const MaxBuckets = 100_000

// Use is a meter's energy over a time.
type Use struct {
	Resolution wattveil.Resolution // of the meter; 0 if it has no readings
	Zone       *time.Location
	Erased     time.Time // what is before is erased; zero if nothing is
	Tariff     string    // id; empty if none is known
	Currency   string    // of the costs; empty without a tariff
	Decimals   int       // minor units of the currency
	Bands      []Band    // of the tariff, in its order
	Buckets    []Bucket
	Total      Bucket // of all
}

// Band is a band of the meter's tariff.
type Band struct {
	Name           string
	Import, Export tariff.Decimal // price and credit of a kWh
	Priced         bool           // there is one price
}

// NoBand stands for the band of energy that no tariff prices.
const NoBand = -1

// Share is what passed in one band.
type Share struct {
	Band           int // place in Use.Bands, or NoBand
	Import, Export wattveil.Wh
}

// Bucket is the energy of a stretch of time and how it is known.
type Bucket struct {
	Start, End int64 // Unix seconds
	Import     wattveil.Wh
	Export     wattveil.Wh
	// EstimatedImport and EstimatedExport are parts of Import and Export.
	EstimatedImport, EstimatedExport wattveil.Wh
	Shares                           []Share // of bands in which energy passed or could be known, by band
	// Seconds by how their energy is known; with Later they add up to the
	// bucket's length.
	Measured, Estimated, Missing int64
	Later                        int64 // still to come, or less than an hour ago and not here yet
	Doubtful                     bool  // a check marked a measured interval
	Cost                         tariff.Decimal
	Costed                       bool // Cost holds for all energy of the bucket
}

// Known tells whether any energy of the bucket is known.
func (b Bucket) Known() bool { return b.Measured+b.Estimated > 0 }

// Standing is how a meter stands, without its energy.
type Standing struct {
	LastReading time.Time // zero if there is none
	Resolution  wattveil.Resolution
	Zone        *time.Location
	Clock       bool   // the last reading says that the clock may be wrong
	Confirmed   bool   // a claim or a pinned key says that nobody stands between
	Fingerprint string // SHA-256 of the signed statement of the meter's key
	Root        string // SHA-256 of the TTP's root key, which meters pin
	Serial      uint32
	Epoch       wattveil.Epoch
	KeyedSince  time.Time // the newest active epoch
	Receipt     time.Time // of the last receipt; zero before the first
	DurableFrom time.Time
	DurableTo   time.Time
	Gaps        []Span // that the receipt named, rising
}

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// Event is something that happened to a meter's keys or readings.
type Event struct {
	Kind  string
	At    time.Time // the first, of several
	Until time.Time // the last, of what lasted; else zero
	Count int       // how many on that day, where that is said; else 0
}
