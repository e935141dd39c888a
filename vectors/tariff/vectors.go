// Package tariff holds the published test vectors of spec/tariff.md: the JSON
// files beside this source, embedded, and the types that read them.
package tariff

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed holidays.json
var holidays []byte

// Calendar is a holiday calendar. Days are the holidays of each year that is
// listed, as MM-DD, sorted and joined by spaces; All is the SHA-256 in
// hexadecimal of all holidays of the years 1970 to 2105, as YYYY-MM-DD, sorted,
// each with a line break.
type Calendar struct {
	Name string            `json:"name"`
	When string            `json:"when"` // "actual" or "observed"
	All  string            `json:"all"`
	Days map[string]string `json:"days"` // by year
}

// Calendars reads the holiday calendars. Those whose holidays are never moved
// have no "observed" entry: it is the same.
func Calendars() ([]Calendar, error) {
	var list []Calendar
	if err := json.Unmarshal(holidays, &list); err != nil {
		return nil, fmt.Errorf("tariff vectors: holidays.json: %w", err)
	}
	return list, nil
}
