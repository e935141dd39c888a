package portal

import (
	"context"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// fakeBill is a signed bill of two days of hours with its energy, and the keys
// that it holds under.
type fakeBill struct {
	bill   consumer.Bill
	energy consumer.BillEnergy
	keys   consumer.BillKeys
}

const fakeBillRef = "bill234"

// newFakeBill makes the bill of a meter. A change is made before it is signed.
func newFakeBill(m wattveil.Meter, change func(*bill.Bill)) fakeBill {
	var f fakeBill
	key, err := bill.GenerateSigningKey()
	must(err)
	set, err := bill.NewKeySet(key.Public())
	must(err)
	f.keys.JWKS, err = set.MarshalJSON()
	must(err)
	from := time.Date(2026, 6, 1, 0, 0, 0, 0, fakeZone)
	f.bill.Ref, f.bill.From, f.bill.To = fakeBillRef, from, from.AddDate(0, 0, 2)
	f.energy.Secret, f.energy.Days = bill.NewSecret(), bill.NewDays(fakeZone, from, f.bill.To)
	f.energy.Terms, err = tariff.Builtin(fakeZone.String())
	must(err)
	var root bill.Intervals
	root.Start(f.energy.Days, f.energy.Secret)
	for at := from; at.Before(f.bill.To); at = at.Add(time.Hour) {
		i := consumer.BillInterval{Interval: wattveil.Interval{Start: at.Unix(), End: at.Unix() + 3600, Import: 250}, Quality: 0}
		if at.Hour() == 3 {
			i.Quality = 8
		}
		f.energy.Intervals = append(f.energy.Intervals, i)
		root.Add(i.Interval, i.Quality)
	}
	leaves, err := root.Leaves()
	must(err)
	f.energy.Leaves, f.energy.Same = leaves, true
	salt := bill.NewSalt()
	content := bill.Bill{
		V: bill.Version, Issuer: "ttp.example", Subject: bill.SubjectOf(salt, m), Tariff: f.energy.Terms.ID(), TariffDigest: f.energy.Terms.Digest().String(),
		Timezone: fakeZone.String(), Currency: "CHF", From: bill.Time(from, fakeZone), To: bill.Time(f.bill.To, fakeZone),
		Intervals: 48, Estimated: 2, ReadingsRoot: bill.RootOf(leaves).String(), ImportKWh: "12.000", ExportKWh: "0.000", Total: "3.78",
		Lines: []bill.Line{
			{Kind: "import", Band: "day", Quantity: "12.000", Price: "0.2680", Unit: "kWh", Amount: "3.22"},
			{Kind: "standing", Quantity: "2", Price: "0.14", Unit: "day", Amount: "0.28"},
			{Kind: "tax", Quantity: "3.50", Price: "0.08", Unit: "CHF", Amount: "0.28"},
		},
	}
	if change != nil {
		change(&content)
	}
	jws, err := key.Sign(content)
	must(err)
	f.bill.Content, f.bill.Document = content, bill.Document{JWS: jws, Salt: salt.String(), Meter: m.String()}
	return f
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (f *fake) Bills(_ context.Context, m wattveil.Meter) ([]consumer.Bill, error) {
	if f.empty {
		return []consumer.Bill{}, f.fails
	}
	return append(slices.Clone(f.earlier), f.billed.bill), f.fails
}

func (f *fake) BillKeys(context.Context) ([]byte, error) { return f.billed.keys.JWKS, f.fails }

func (f *fake) BillKeysFor(context.Context, wattveil.Meter) (consumer.BillKeys, error) {
	return f.billed.keys, f.fails
}

func (f *fake) BillEnergy(context.Context, wattveil.Meter, consumer.Bill) (consumer.BillEnergy, error) {
	return f.billed.energy, f.fails
}

// Asked has one disclosure of each kind.
func (f *fake) Asked(context.Context, wattveil.Meter) (consumer.Asked, error) {
	a := consumer.Asked{Zone: fakeZone, Who: "energy.example"}
	if f.empty {
		return a, f.fails
	}
	from, to := f.billed.bill.From, f.billed.bill.To
	a.List = []consumer.Disclosure{
		{Kind: consumer.ToldBill, Tariff: "t", From: from, To: to, Told: []string{"import day", "demand peak 2026-06"}, Withheld: []string{"import spot:reveal"}, At: fakeNow, Last: fakeNow, Times: 1, Bill: fakeBillRef},
		{Kind: consumer.ToldCorrection, Tariff: "t", From: from, To: to, Told: []string{"import day"}, At: fakeNow, Last: fakeNow, Times: 1},
		{Kind: consumer.ToldNothing, Tariff: "t", From: from, To: to, Rule: "short", At: fakeNow, Last: fakeNow.Add(time.Hour), Times: 7},
		{Kind: consumer.Unsettled, Tariff: "t", From: from, To: to, Rule: "new-rule", At: fakeNow, Last: fakeNow, Times: 1},
	}
	a.Limits = []consumer.Limit{{Name: "bills_per_year", Set: "26", Else: "14"}}
	return a, f.fails
}
