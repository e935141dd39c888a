package analytics

import (
	"cmp"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
)

// Forecast is energy that is still to come, as intervals that can be rated
// like measured ones (spec/portal.md section 8).
type Forecast struct {
	Expected  []wattveil.Interval // each day is the mean of its like days
	Low, High []wattveil.Interval // each day is the mean of the lower and of the upper half of them
	Fewest    int                 // like days of the day that has the fewest
}

// LikeDays is how far back like days are looked for.
const LikeDays = 8 * 7

// fewestLike is how many like days of one kind are enough.
const fewestLike = 2

// dayKind is what days are alike in.
type dayKind int

const (
	workingDay dayKind = iota
	saturday
	sunday
	kinds
)

func kindOf(at time.Time) dayKind {
	switch at.Weekday() {
	case time.Saturday:
		return saturday
	case time.Sunday:
		return sunday
	default:
		return workingDay
	}
}

// profile is the energy of a day by the local clock, one place an interval.
type profile struct {
	imports, exports []wattveil.Wh
	sum              int64 // import less export
}

// Continue forecasts the intervals of [from, to) at a resolution, which follow
// those of past. Both times are on the resolution's grid. Of past, the complete
// days of 24 hours within LikeDays before from count; past must be rising. It
// gives false if there are fewer than two such days.
func Continue(past []wattveil.Interval, resolution wattveil.Resolution, from, to time.Time) (Forecast, bool) {
	step := int64(resolution)
	byKind := likeDays(past, step, from)
	all := slices.Concat(byKind[:]...)
	if len(all) < fewestLike {
		return Forecast{}, false
	}
	var means [kinds][3]profile // low, mean, high
	out := Forecast{Fewest: len(all)}
	var asked [kinds]bool
	for at := from.Unix(); at < to.Unix(); at += step {
		local := time.Unix(at, 0).In(from.Location())
		kind := kindOf(local)
		if !asked[kind] {
			asked[kind] = true
			like := byKind[kind]
			if len(like) < fewestLike {
				like = all
			}
			out.Fewest = min(out.Fewest, len(like))
			means[kind] = meansOf(like)
		}
		h, m, s := local.Clock()
		place := (int64(h)*3600 + int64(m)*60 + int64(s)) / step
		for i, list := range [...]*[]wattveil.Interval{&out.Low, &out.Expected, &out.High} {
			p := &means[kind][i]
			*list = append(*list, wattveil.Interval{Start: at, End: at + step, Import: p.imports[place], Export: p.exports[place]})
		}
	}
	return out, true
}

// likeDays are the complete days of the past by kind.
func likeDays(past []wattveil.Interval, step int64, from time.Time) (byKind [kinds][]profile) {
	earliest := from.AddDate(0, 0, -LikeDays).Unix()
	perDay := int(24 * 3600 / step)
	zone := from.Location()
	for i := 0; i < len(past); {
		start := time.Unix(past[i].Start, 0).In(zone)
		y, m, d := start.Date()
		end := time.Date(y, m, d+1, 0, 0, 0, 0, zone).Unix()
		k := i
		for k < len(past) && past[k].Start < end {
			k++
		}
		day := past[i:k]
		i = k
		whole := len(day) == perDay && day[0].Start >= earliest && end <= from.Unix() && day[perDay-1].End == end && end-day[0].Start == 24*3600
		for k := range day {
			whole = whole && day[k].End-day[k].Start == step
		}
		if whole {
			byKind[kindOf(start)] = append(byKind[kindOf(start)], profileOf(day))
		}
	}
	return byKind
}

func profileOf(day []wattveil.Interval) (p profile) {
	for _, i := range day {
		p.imports, p.exports = append(p.imports, i.Import), append(p.exports, i.Export)
		p.sum += int64(i.Import) - int64(i.Export)
	}
	return p
}

// meansOf is the mean of the lower half of days, of all, and of the upper half.
// The middle one of an odd number is in both halves.
func meansOf(like []profile) [3]profile {
	sorted := slices.Clone(like)
	slices.SortStableFunc(sorted, func(a, b profile) int { return cmp.Compare(a.sum, b.sum) })
	half := (len(sorted) + 1) / 2
	return [3]profile{meanOf(sorted[:half]), meanOf(sorted), meanOf(sorted[len(sorted)-half:])}
}

// meanOf is the mean of days. Each place is rounded so that the sums from the
// start of the day on are within a Wh.
func meanOf(days []profile) profile {
	mean := func(of func(profile) []wattveil.Wh) []wattveil.Wh {
		out := make([]wattveil.Wh, len(of(days[0])))
		var sum, given int64
		for place := range out {
			for _, d := range days {
				sum += int64(of(d)[place])
			}
			out[place] = wattveil.Wh(sum/int64(len(days)) - given)
			given = sum / int64(len(days))
		}
		return out
	}
	return profile{imports: mean(func(p profile) []wattveil.Wh { return p.imports }), exports: mean(func(p profile) []wattveil.Wh { return p.exports })}
}
