package tariff

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	vectors "github.com/wattveil/wattveil/vectors/tariff"
)

var update = flag.Bool("update", false, "write vectors/tariff/holidays.json")

// The years whose holidays are published day by day.
const (
	firstPublished = 2010
	lastPublished  = 2040
)

// holidaysOf lists the holidays of a calendar.
func holidaysOf(t *testing.T, name, when string) vectors.Calendar {
	t.Helper()
	var c checker
	var cal calendar
	c.holidays(&cal, &Holidays{Calendar: name, When: when})
	if err := c.err(); err != nil {
		t.Fatal(err)
	}
	v := vectors.Calendar{Name: name, When: when, Days: map[string]string{}}
	var all bytes.Buffer
	for day := int64(0); day < holidayDays; day++ {
		if cal.kind(day).dayType() != holiday {
			continue
		}
		year, month, dom := civil(day)
		fmt.Fprintf(&all, "%04d-%02d-%02d\n", year, month, dom)
		if year >= firstPublished && year <= lastPublished {
			key := fmt.Sprint(year)
			v.Days[key] = strings.TrimSpace(fmt.Sprintf("%s %02d-%02d", v.Days[key], month, dom))
		}
	}
	sum := sha256.Sum256(all.Bytes())
	v.All = hex.EncodeToString(sum[:])
	return v
}

// A calendar never changes behind a tariff's back: its days are published, and
// those of the library are the same.
func TestHolidaysAreThePublishedOnes(t *testing.T) {
	var got []vectors.Calendar
	for _, name := range Calendars() {
		actual, observed := holidaysOf(t, name, "actual"), holidaysOf(t, name, "observed")
		got = append(got, actual)
		if observed.All != actual.All {
			got = append(got, observed)
		}
	}
	if *update {
		text, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("../vectors/tariff/holidays.json", append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := vectors.Calendars()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d calendars, %d are published", len(got), len(want))
	}
	for i := range got {
		if got[i].Name != want[i].Name || got[i].When != want[i].When {
			t.Fatalf("calendar %s %s, want %s %s", got[i].Name, got[i].When, want[i].Name, want[i].When)
		}
		for year, days := range want[i].Days {
			if got[i].Days[year] != days {
				t.Errorf("%s %s in %s: %s, want %s", got[i].Name, got[i].When, year, got[i].Days[year], days)
			}
		}
		if got[i].All != want[i].All {
			t.Errorf("%s %s: the days of all years differ", got[i].Name, got[i].When)
		}
	}
}

// Neither the machine's time zone nor a midnight that it skips moves a day.
func TestHolidaysDoNotDependOnTheMachine(t *testing.T) {
	// The library has kept the pointer, so what it points to is changed.
	saved := *time.Local
	t.Cleanup(func() { *time.Local = saved })
	want := holidaysOf(t, "DE", "actual")
	for _, zone := range []string{"America/Sao_Paulo", "Pacific/Apia", "Asia/Beirut", "America/New_York"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if *time.Local = *loc; holidaysOf(t, "DE", "actual").All != want.All {
			t.Errorf("on a machine in %s the holidays differ", zone)
		}
	}
}

func TestHolidayDaysAreCounted(t *testing.T) {
	first := time.Date(firstHolidayYear, 1, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(lastHolidayYear+1, 1, 1, 0, 0, 0, 0, time.UTC)
	if dayNumber(first) != 0 || dayNumber(end) != holidayDays {
		t.Errorf("the years have the days %d to %d, holidayDays is %d", dayNumber(first), dayNumber(end), holidayDays)
	}
}
