package analytics

import (
	"math"
	"time"

	"github.com/wattveil/wattveil"
)

// Day is a day unlike the days like it.
type Day struct {
	Start  int64 // Unix seconds of its first hour
	Import wattveil.Wh
	Usual  wattveil.Wh // median of the days like it
	Score  float64     // robust z-score; above 0 if the day is high
}

const (
	likeWithin = 42 // days before and after
	leastLike  = 8
	unusual    = 3.5
	// A home that is the same every day has no spread; what a person would not
	// call unusual is not.
	leastSpread  = 0.05 // of the median
	leastSpreads = 200  // Wh
)

// UnusualDays are the days whose import is far from that of the days like it:
// those of the same kind, Monday to Friday or weekend, within six weeks, without
// the day itself. It takes the modified z-score of Iglewicz and Hoaglin (1993),
// 0.6745·(x − median)/MAD, and their limit of 3.5; median and MAD do not move
// with the days that are looked for. Only days of which every hour was measured
// are looked at. compared is how many of them had enough days like them.
func UnusualDays(hours []Hour, zone *time.Location) (list []Day, compared int) {
	var whole []Day
	var noons []time.Time
	for _, d := range days(hours, zone) {
		if !isWhole(d, zone) {
			continue
		}
		sum := wattveil.Wh(0)
		for _, h := range d.hours {
			sum += h.Import
		}
		whole, noons = append(whole, Day{Start: d.start, Import: sum}), append(noons, d.noon)
	}
	for i := range whole {
		like := alike(whole, noons, i)
		if len(like) < leastLike {
			continue
		}
		compared++
		d := &whole[i]
		usual := median(like)
		d.Usual = wattveil.Wh(usual)
		for k := range like {
			like[k] = max(like[k]-usual, usual-like[k])
		}
		spread := max(float64(median(like)), leastSpread*float64(usual), leastSpreads)
		d.Score = 0.6745 * float64(int64(d.Import)-usual) / spread
		if math.Abs(d.Score) >= unusual {
			list = append(list, *d)
		}
	}
	return list, compared
}

// isWhole tells whether every hour of a day is there. A day may have 23 or 25;
// the first and last hour of a zone that is off the hour of UTC begin within it.
func isWhole(d localDay, zone *time.Location) bool {
	y, m, day := d.noon.Date()
	length := time.Date(y, m, day+1, 0, 0, 0, 0, zone).Sub(time.Date(y, m, day, 0, 0, 0, 0, zone))
	return len(d.hours) >= int(length/time.Hour)
}

// alike are the imports of the days like a day.
func alike(whole []Day, noons []time.Time, i int) (list []int64) {
	weekend := isWeekend(noons[i])
	for j := range whole {
		away := noons[j].Sub(noons[i]).Abs()
		if j != i && away <= likeWithin*24*time.Hour && isWeekend(noons[j]) == weekend {
			list = append(list, int64(whole[j].Import))
		}
	}
	return list
}

func isWeekend(day time.Time) bool {
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}
