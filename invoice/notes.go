package invoice

import (
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
)

// notes says what a bill is made from, and what is unusual about it.
func (l *Language) notes(v *Invoice) []string {
	b, w := v.Bill, l.words
	var notes []string
	add := func(format string, values ...any) { notes = append(notes, fmt.Sprintf(format, values...)) }
	if b.Corrects != "" {
		if i := v.find(b.Corrects); i >= 0 {
			add(w.correctsKnown, b.Corrects, l.money(v.Earlier[i].Total, b.Currency))
		} else {
			add(w.corrects, b.Corrects)
		}
	}
	if b.Carries != "" {
		add(w.carries, l.which(v, b.Carries))
	}
	switch count := l.number(fmt.Sprint(b.Intervals)); {
	case b.Intervals == 0: // there is a hole, which has a note of its own
	case b.Estimated == 0:
		add(w.measured, count)
	default:
		add(w.estimated, l.number(fmt.Sprint(b.Estimated)), count, l.share(b.Estimated, b.Intervals))
	}
	if b.UnbilledSeconds > 0 {
		add(w.unbilled, length(b.UnbilledSeconds))
	}
	for _, line := range b.Lines {
		if line.Withheld != "" {
			add(w.told, l.item(line), line.Withheld)
		}
	}
	return notes
}

// find is the place of an earlier bill by its hash, or -1.
func (v *Invoice) find(hash string) int {
	return slices.IndexFunc(v.Earlier, func(e Earlier) bool { return bill.HashOf(e.JWS).String() == hash })
}

// which names an earlier bill, with its period where it is known.
func (l *Language) which(v *Invoice, hash string) string {
	if i := v.find(hash); i >= 0 {
		if p, err := periodOf(v.Earlier[i].Bill); err == nil {
			return hash + " (" + l.span(p) + ")"
		}
	}
	return hash
}

// share is a part in percent with one decimal, never 0.0 of what is there.
func (l *Language) share(part, whole int) string {
	tenths := max(1, (2000*int64(part)+int64(whole))/(2*int64(whole)))
	return l.number(tariff.NewDecimal(tenths, 1).String()) + " %"
}

// length writes seconds in hours and minutes.
func length(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	text := ""
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.of; n > 0 {
			text += fmt.Sprintf(" %d %s", n, u.name)
			d -= n * u.of
		}
	}
	return text[1:]
}

// history are the earlier bills for the chart, the last ones, without those
// that another one replaces.
func (v *Invoice) history() []Earlier {
	replaced := map[string]bool{v.Bill.Corrects: true}
	for _, e := range v.Earlier {
		replaced[e.Corrects] = true
	}
	list := slices.DeleteFunc(slices.Clone(v.Earlier), func(e Earlier) bool { return replaced[bill.HashOf(e.JWS).String()] })
	return list[max(0, len(list)-MaxEarlier):]
}
