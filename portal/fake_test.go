package portal

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/tariff"
)

// fake is a TTP with one account, whose meter uses the more the later in the
// day it is, with holes. It is safe for concurrent use.
type fake struct {
	mu       sync.Mutex
	account  consumer.Account
	sessions map[consumer.TokenHash]consumer.Session
	passkeys []consumer.Passkey
	meters   []consumer.Meter
	empty    bool // the meter has no readings
	fails    error
	set      []consumer.Alert // that was asked for
	billed   fakeBill
	earlier  []consumer.Bill
	first    time.Time // reading that is there

	begun, goOn chan struct{} // hold exports once they have begun, if they are there
	crowded     bool          // every account has the meters
	breaks      int           // the interval at which an export fails, if above 0
	chosen      consumer.Choices
	links       []consumer.Link
	erased      time.Time
}

var (
	fakeNow  = time.Date(2026, 6, 17, 12, 20, 0, 0, time.UTC)
	fakeZone = mustZone("Europe/Zurich")
	fakeRef  = "mine234567abc"
)

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func newFake() *fake {
	f := &fake{account: consumer.NewAccount(), sessions: make(map[consumer.TokenHash]consumer.Session)}
	f.passkeys = []consumer.Passkey{{Account: f.account, ID: []byte("one"), Number: 1}, {Account: f.account, ID: []byte("two"), Number: 2}}
	f.meters = []consumer.Meter{
		{Name: wattveil.Meter{UC: 1, Pseudonym: 7}, Ref: fakeRef, Unread: 3, Since: fakeNow, TakenOver: fakeNow.Add(72 * time.Hour)},
		{Name: wattveil.Meter{UC: 1, Pseudonym: 8}, Ref: "other34567abc", Since: fakeNow},
	}
	f.billed, f.first = newFakeBill(f.meters[0].Name, nil), fakeNow.Add(-50*24*time.Hour)
	return f
}

func (f *fake) CheckClaim(_ context.Context, code string) (wattveil.Meter, error) {
	if code != "RIGHT" {
		return wattveil.Meter{}, consumer.Malformed
	}
	return wattveil.Meter{UC: 1, Pseudonym: 9}, f.fails
}

func (f *fake) Holder(context.Context, wattveil.Meter) (a consumer.Account, found bool, err error) {
	return a, false, f.fails
}

func (f *fake) NewAccount(context.Context, consumer.Passkey, wattveil.Meter, bool) (due time.Time, err error) {
	return due, f.fails
}

func (f *fake) Take(context.Context, consumer.Account, wattveil.Meter, bool) (due time.Time, err error) {
	return due, f.fails
}

func (f *fake) RefuseTakeover(context.Context, consumer.Account, string) error { return f.fails }

func (f *fake) Meters(_ context.Context, a consumer.Account) ([]consumer.Meter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a != f.account && !f.crowded {
		return nil, f.fails
	}
	return slices.Clone(f.meters), f.fails
}

func (f *fake) Takeovers(context.Context, consumer.Account) ([]time.Time, error) {
	return []time.Time{fakeNow.Add(24 * time.Hour)}, f.fails
}

func (f *fake) GiveUp(context.Context, consumer.Account, string) error     { return f.fails }
func (f *fake) DeleteAccount(context.Context, consumer.Account) error      { return f.fails }
func (f *fake) AddPasskey(context.Context, consumer.Passkey) error         { return f.fails }
func (f *fake) UsePasskey(context.Context, []byte, uint32, byte) error     { return f.fails }
func (f *fake) RemovePasskey(context.Context, consumer.Account, int) error { return f.fails }
func (f *fake) EndSession(context.Context, consumer.TokenHash) error       { return f.fails }
func (f *fake) EndSessions(context.Context, consumer.Account) error        { return f.fails }
func (f *fake) Zone(context.Context, wattveil.Meter) (*time.Location, error) {
	return fakeZone, f.fails
}

func (f *fake) Passkey(_ context.Context, id []byte) (consumer.Passkey, bool, error) {
	for _, p := range f.passkeys {
		if string(p.ID) == string(id) {
			return p, true, f.fails
		}
	}
	return consumer.Passkey{}, false, f.fails
}

func (f *fake) Passkeys(context.Context, consumer.Account) ([]consumer.Passkey, error) {
	return f.passkeys, f.fails
}

func (f *fake) BeginSession(_ context.Context, t consumer.TokenHash, s consumer.Session) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions[t] = s
	return nil
}

func (f *fake) Session(_ context.Context, t consumer.TokenHash) (consumer.Session, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, found := f.sessions[t]
	return s, found, nil
}

func (f *fake) ConfirmSession(context.Context, consumer.TokenHash, time.Time) error { return f.fails }

// Use has buckets of an hour, a day or a month: the first is missing, the
// second estimated.
func (f *fake) Use(_ context.Context, _ wattveil.Meter, q consumer.Query) (consumer.Use, error) {
	price := func(s string) tariff.Decimal {
		d, err := tariff.ParseDecimal(s)
		if err != nil {
			panic(err)
		}
		return d
	}
	u := consumer.Use{
		Resolution: 900, Zone: fakeZone, Tariff: "t", Currency: "CHF", Decimals: 2,
		Bands: []consumer.Band{{Name: "day", Import: price("0.30"), Priced: true}, {Name: "night", Import: price("0.20"), Priced: true}},
	}
	if f.empty {
		u.Resolution = 0
	}
	for at := q.From; at.Before(q.To); {
		end := at.Add(time.Hour)
		switch q.Step {
		case consumer.Day:
			end = at.AddDate(0, 0, 1)
		case consumer.Month:
			end = at.AddDate(0, 1, 0)
		}
		u.Buckets = append(u.Buckets, f.bucket(at, end, len(u.Buckets)))
		at = end
	}
	for _, b := range u.Buckets {
		u.Total.Import += b.Import
		u.Total.Measured, u.Total.Estimated, u.Total.Missing = u.Total.Measured+b.Measured, u.Total.Estimated+b.Estimated, u.Total.Missing+b.Missing
	}
	u.Total.Costed = !f.empty
	return u, f.fails
}

func (f *fake) bucket(at, end time.Time, i int) consumer.Bucket {
	length := end.Unix() - at.Unix()
	b := consumer.Bucket{Start: at.Unix(), End: end.Unix()}
	switch {
	case f.empty || i == 0:
		b.Missing = length
	default:
		b.Measured, b.Import, b.Costed = length, wattveil.Wh(100*at.Hour()+1), true
		b.Shares = []consumer.Share{{Band: i % 2, Import: b.Import}}
		if i == 1 {
			b.Measured, b.Estimated, b.EstimatedImport = 0, length, b.Import
		}
	}
	return b
}

func (f *fake) Standing(context.Context, wattveil.Meter) (consumer.Standing, error) {
	s := consumer.Standing{Zone: fakeZone, Fingerprint: "00ff"}
	if !f.empty {
		s.LastReading, s.Resolution, s.Epoch, s.KeyedSince = fakeNow.Add(-5*time.Hour), 900, 3, fakeNow
		s.Receipt, s.DurableFrom, s.DurableTo = fakeNow.Add(-96*time.Hour), fakeNow.Add(-200*time.Hour), fakeNow
		s.Gaps = []consumer.Span{{From: fakeNow, To: fakeNow.Add(time.Hour)}}
	}
	return s, f.fails
}

// Offers are the builtin tariff, one that replaces it later, and one that has
// all that a tariff can have.
func (f *fake) Offers(_ context.Context, _ wattveil.Meter, from, to time.Time) (consumer.Offers, error) {
	o := consumer.Offers{Zone: fakeZone, From: from, To: to, Import: 123456, Estimated: 900, Missing: 7200}
	for i, t := range fakeTariffs() {
		o.List = append(o.List, consumer.Offer{Terms: t, Registered: fakeNow.AddDate(0, -i, 0), Yours: i == 0, Due: consumer.Due{Total: tariff.NewDecimal(int64(1000-10*i), 2)}})
	}
	o.List[1].Due = consumer.Due{Fault: consumer.NotValid}
	if f.empty {
		o.To, o.List = o.From, nil
	}
	return o, f.fails
}

func fakeTariffs() []*tariff.Tariff {
	builtin, err := tariff.Builtin("Europe/Zurich")
	if err != nil {
		panic(err)
	}
	next := builtin.Document()
	next.ID, next.Replaces, next.ValidFrom = "next", builtin.ID(), "2027-01-01"
	list := []*tariff.Tariff{builtin}
	everything := `{"id":"everything","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2020-01-01","valid_to":"2030-01-01",
		"seasons":{"winter":[{"from":"10-01","to":"03-31"}]},"holidays":{"calendar":"CH"},
		"energy":{"bands":{"high":{"tiers":[{"import":"0.30","up_to_kwh":"100"},{"import":"0.40"}]},"low":{"import":"0.20","export":"0.05"},"spot":{"import_series":"EPEX"}},
			"default":"low","windows":[{"band":"high","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"19:00","seasons":["winter"]},{"band":"spot","days":["sat","hol"],"from":"22:00","to":"23:00"}]},
		"standing":{"per_month":"5"},"charges":[{"kind":"grid","name":"net","per_kwh":"0.10","bands":["high"]},{"kind":"credit","name":"sun","per_kwh":"0.01","of":"export"},{"kind":"levy","name":"fund","per_day":"0.01"}],
		"demand":[{"name":"peak","minutes":15,"per_kw":"4","ratchet":{"months":11,"percent":"80"}}],"minimum":{"per_month":"6"},
		"taxes":[{"name":"vat","percent":"8.1"},{"name":"city","percent":"1","on":["import"]}]}`
	for _, add := range []func() (*tariff.Tariff, error){
		func() (*tariff.Tariff, error) { return tariff.New(next) },
		func() (*tariff.Tariff, error) { return tariff.Parse([]byte(everything)) },
	} {
		t, err := add()
		if err != nil {
			panic(err)
		}
		list = append(list, t)
	}
	return list
}

// Outlook is of a month with a forecast, or of nothing.
func (f *fake) Outlook(context.Context, wattveil.Meter) (consumer.Outlook, error) {
	o := consumer.Outlook{Zone: fakeZone, From: fakeNow.AddDate(0, 0, -2), Until: fakeNow, To: fakeNow.AddDate(0, 0, 2), SoFar: consumer.Due{Fault: consumer.NoTariff}}
	if f.empty {
		return o, f.fails
	}
	due := consumer.Due{Total: tariff.NewDecimal(1234, 2), Lines: []bill.Line{
		{Kind: "import", Band: "day", Quantity: "12.345", Price: "0.2680", Unit: "kWh", Amount: "3.31"},
		{Kind: "import", Band: "spot", Series: "digest", Withheld: "reveal", Unit: "kWh", Amount: "9.00"},
		{Kind: "tax", Price: "0.081", Quantity: "11.42", Unit: "CHF", Amount: "0.92", On: "import,standing"},
	}}
	o.Tariff, o.Currency, o.Decimals, o.Billed = "t", "CHF", 2, true
	o.SoFar, o.Low, o.Mean, o.Top = due, due, due, due
	o.Import, o.Estimated, o.Missing, o.Forecast, o.Like, o.ImportMean = 12_345, 900, 900, true, 5, 20_000
	o.Days = []consumer.OutlookDay{
		{Start: o.From, Measured: 5000, Known: true}, {Start: o.From.AddDate(0, 0, 1), Missing: true},
		{Start: fakeNow, Measured: 1000, Known: true, Low: 10, Mean: 20, Top: 30}, {Start: fakeNow.AddDate(0, 0, 1), Low: 3000, Mean: 4000, Top: 5000},
	}
	return o, f.fails
}

// Alerts are one of each kind that was raised, and one that is set.
func (f *fake) Alerts(context.Context, wattveil.Meter) (consumer.Alerts, error) {
	a := consumer.Alerts{Zone: fakeZone}
	if !f.empty {
		a.Set = []consumer.Alert{{Kind: consumer.AlertDay, Limit: 12_500, Since: fakeNow}}
		a.Raised = []consumer.Raised{
			{Kind: consumer.AlertDay, At: fakeNow, Limit: 12_500, Value: 13_001},
			{Kind: consumer.AlertHour, At: fakeNow, Limit: 2_000, Value: 2_500, Read: true},
			{Kind: consumer.AlertBase, At: fakeNow, Limit: 50, Value: 73},
			{Kind: consumer.AlertSilent, At: fakeNow, Limit: 24},
		}
	}
	return a, f.fails
}

func (f *fake) SetAlert(_ context.Context, m wattveil.Meter, kind consumer.AlertKind, limit int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = append(f.set, consumer.Alert{Kind: kind, Limit: limit})
	return f.fails
}

func (f *fake) MarkAlerts(context.Context, wattveil.Meter) error { return f.fails }
