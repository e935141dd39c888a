package portal

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wattveil/wattveil/tariff"
)

// weekPicture is when the bands of a tariff apply in a season: a row for each
// weekday from Monday on, a bar for each band of a day.
type weekPicture struct {
	Season string // empty if it is no season's
	Rest   bool   // of the year, outside of all seasons
	Bars   []bar
	Days   []string
}

// The picture's view box: an hour is 10 wide, a day 24 high.
const (
	weekHour = 10.0
	weekDay  = 24.0
)

// weekPictures are those of all seasons of a tariff.
func weekPictures(t *tariff.Tariff, classes []string, now time.Time, l locale) []weekPicture {
	doc := t.Document()
	names := slices.Sorted(maps.Keys(doc.Seasons))
	var list []weekPicture
	for _, name := range append(names, "") {
		w := weekPicture{Season: name, Rest: name == "" && len(names) > 0}
		days := daysOf(t, now, func(day string) bool {
			if name != "" {
				return inSeason(doc.Seasons[name], day)
			}
			return !slices.ContainsFunc(names, func(n string) bool { return inSeason(doc.Seasons[n], day) })
		})
		for row := range days {
			w.Days = append(w.Days, dayNames[l.lang][(row+1)%7])
			w.draw(row, usual(days[row]), classes)
		}
		if len(w.Bars) > 0 {
			list = append(list, w)
		}
	}
	return list
}

// inSeason tells whether a day, as MM-DD, is in one of the stretches.
func inSeason(season []tariff.Dates, day string) bool {
	return slices.ContainsFunc(season, func(d tariff.Dates) bool {
		if d.From <= d.To {
			return d.From <= day && day <= d.To
		}
		return day >= d.From || day <= d.To
	})
}

// daysOf are the bands, quarter by quarter, of the days of a year that are
// wanted, by weekday from Monday on: up to seven of each, so that holidays are
// the fewer.
func daysOf(t *tariff.Tariff, now time.Time, wanted func(day string) bool) (days [7][]string) {
	cursor := t.Cursor()
	start := now.In(t.Zone())
	if start.Before(t.ValidFrom()) {
		start = t.ValidFrom()
	}
	y, m, d := start.Date()
	for i := range 366 {
		noon := time.Date(y, m, d+i, 12, 0, 0, 0, t.Zone())
		row := (int(noon.Weekday()) + 6) % 7
		if len(days[row]) == 7 || !wanted(noon.Format("01-02")) {
			continue
		}
		var bands strings.Builder
		for quarter := range 96 {
			at := time.Date(y, m, d+i, 0, 15*quarter, 0, 0, t.Zone())
			bands.WriteByte(byte(cursor.Span(at.Unix()).Band))
		}
		days[row] = append(days[row], bands.String())
	}
	return days
}

// usual is the most frequent of some days; empty if there is none.
func usual(days []string) (best string) {
	counts := make(map[string]int)
	for _, d := range days {
		counts[d]++
		if counts[d] > counts[best] {
			best = d
		}
	}
	return best
}

// draw draws a day.
func (w *weekPicture) draw(row int, bands string, classes []string) {
	for i := 0; i < len(bands); {
		k := i
		for k < len(bands) && bands[k] == bands[i] {
			k++
		}
		class := "band-none"
		if band := int(bands[i]); band < len(classes) {
			class = classes[band]
		}
		w.Bars = append(w.Bars, bar{
			class, number(float64(i) / 4 * weekHour), number(float64(row)*weekDay + 2), number(float64(k-i) / 4 * weekHour), number(weekDay - 4),
		})
		i = k
	}
}

// Hours are the labels below the picture.
func (weekPicture) Hours() (list []string) {
	for h := 0; h <= 24; h += 6 {
		list = append(list, strconv.Itoa(h))
	}
	return list
}
