package portal

import (
	"context"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/analytics"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// fakeToken is the token of the fake's one link.
var fakeToken = consumer.Token{1, 2, 3}

func (f *fake) Events(context.Context, wattveil.Meter) ([]consumer.Event, error) {
	return []consumer.Event{
		{Kind: "keys", At: fakeNow}, {Kind: "new-kind", At: fakeNow}, {Kind: "clock", At: fakeNow, Until: fakeNow.Add(time.Hour)}, {Kind: "conflict", At: fakeNow, Count: 3},
	}, f.fails
}

// Intervals are of an hour each; every fifth is missing, every seventh
// estimated.
func (f *fake) Intervals(_ context.Context, _ wattveil.Meter, from, to time.Time, each func(*consumer.Interval) error) error {
	if f.begun != nil {
		f.begun <- struct{}{}
		<-f.goOn
	}
	for n, at := 0, from.Unix(); at < to.Unix() && !f.empty; n, at = n+1, at+3600 {
		if n%5 == 4 {
			continue
		}
		i := consumer.Interval{Interval: wattveil.Interval{Start: at, End: at + 3600, Import: wattveil.Wh(n)}, Costed: true, ImportCost: tariff.NewDecimal(int64(n), 3)}
		if n%7 == 3 {
			i.Quality = 8
		}
		if f.breaks > 0 && n == f.breaks {
			return consumer.Busy
		}
		if err := each(&i); err != nil {
			return err
		}
	}
	return f.fails
}

func (f *fake) Readings(_ context.Context, _ wattveil.Meter, from, to time.Time, each func(wattveil.Series, wattveil.Reading) error) error {
	for at := from.Unix(); at <= to.Unix() && !f.empty; at += 3600 {
		if err := each(1, wattveil.Reading{Time: at, Import: wattveil.Register(at), Status: wattveil.StatusClock | wattveil.StatusTamper | 1<<9}); err != nil {
			return err
		}
	}
	return f.fails
}

func (f *fake) Insights(ctx context.Context, m wattveil.Meter, from, to time.Time) (analytics.Insights, error) {
	var c analytics.Collector
	err := f.Intervals(ctx, m, from, to, func(i *consumer.Interval) error { c.Add(i.Interval); return nil })
	return analytics.Of(c.Intervals(), fakeZone, from, to), err
}

func (f *fake) AddLink(_ context.Context, _ wattveil.Meter, _ consumer.TokenHash, l consumer.Link) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.links = append(f.links, l)
	return f.fails
}

func (f *fake) Links(context.Context, wattveil.Meter) ([]consumer.Link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links, f.fails
}

func (f *fake) Revoke(context.Context, wattveil.Meter, string) error { return f.fails }

func (f *fake) Linked(_ context.Context, token consumer.TokenHash) (wattveil.Meter, consumer.Link, error) {
	if token != fakeToken.Hash() {
		return wattveil.Meter{}, consumer.Link{}, consumer.LinkOver
	}
	from := consumer.DayStart(2026, 6, 1, fakeZone)
	return f.meters[0].Name, consumer.Link{From: from, To: from.AddDate(0, 0, 5), Ends: fakeNow.Add(time.Hour)}, f.fails
}

func (f *fake) Choices(context.Context, wattveil.Meter) (consumer.Choices, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.chosen, f.fails
}

func (f *fake) Choose(_ context.Context, _ wattveil.Meter, ch consumer.Choices) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chosen = ch
	return f.fails
}

func (f *fake) Erasable(context.Context, wattveil.Meter) (consumer.Erasable, error) {
	if f.empty {
		return consumer.Erasable{}, f.fails
	}
	return consumer.Erasable{
		Billed: fakeNow, Until: fakeNow.Add(-35 * 24 * time.Hour), Erased: fakeNow.Add(-60 * 24 * time.Hour),
		First: f.first,
		Past:  []consumer.Erasure{{Before: fakeNow.Add(-60 * 24 * time.Hour), Readings: 12345, At: fakeNow}},
	}, f.fails
}

func (f *fake) Erase(_ context.Context, _ wattveil.Meter, before time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.erased = before
	return f.fails
}
