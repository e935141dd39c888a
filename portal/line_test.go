package portal

import "testing"

// One day is a day.
func TestUnitOfALine(t *testing.T) {
	for _, c := range []struct{ lang, unit, quantity, want string }{
		{english, "day", "1", "day"},
		{english, "day", "2", "days"},
		{english, "day", "0.5", "days"},
		{english, "month", "1.000", "month"},
		{german, "day", "1", "Tag"},
		{german, "month", "1", "Monat"},
		{german, "month", "12", "Monate"},
		{english, "kWh", "1", "kWh"},
		{english, "day", "", "days"},
	} {
		v := &visit{locale: locale{lang: c.lang}}
		if got := v.unit(c.unit, c.quantity); got != c.want {
			t.Errorf("%s %s (%s) is called %q, want %q", c.quantity, c.unit, c.lang, got, c.want)
		}
	}
}
