package consumer

import "time"

// AlertKind is what an alert is about (spec/portal.md section 9).
type AlertKind string

// The kinds.
const (
	AlertDay    AlertKind = "day"    // import of a local day, Wh
	AlertHour   AlertKind = "hour"   // import of an hour, Wh
	AlertBase   AlertKind = "base"   // base load above the usual, per cent
	AlertSilent AlertKind = "silent" // time without readings, hours
)

// AlertKinds are all kinds, with the limits that each takes.
func AlertKinds() []AlertRange {
	return []AlertRange{
		{AlertDay, 100, 1_000_000},
		{AlertHour, 100, 100_000},
		{AlertBase, 10, 1_000},
		{AlertSilent, 1, 720},
	}
}

// AlertRange is what limits a kind of alert takes.
type AlertRange struct {
	Kind          AlertKind
	Least, Utmost int64
}

// Alert is one that a consumer has set for a meter.
type Alert struct {
	Kind  AlertKind
	Limit int64
	Since time.Time
}

// Raised is something that an alert has found.
type Raised struct {
	Kind  AlertKind
	At    time.Time // start of the day or hour, or the last reading
	Limit int64     // in force then
	Value int64     // that was over it, in the limit's unit; of silent alerts 0
	Read  bool      // the consumer has marked it
}

// Alerts are those of a meter.
type Alerts struct {
	Zone   *time.Location
	Set    []Alert
	Raised []Raised // the newest first
}
