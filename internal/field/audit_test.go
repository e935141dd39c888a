package field

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/readings"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp/api"
	"github.com/wattveil/wattveil/utility"
)

// auditor compares what meters export with what the TTP has stored. It sees
// what no party sees: both sides, and the utility's names for them.
type auditor struct {
	f       *Field
	store   *readingspebble.Store
	names   map[wattveil.MeterID]wattveil.Pseudonym
	number  wattveil.UCNumber
	through int64

	meters map[*Process][]MeterStatus

	readings, messages int // that the TTP has
	wrong              []string
}

// audit holds, for all readings up to a moment, what the TTP has to what the
// meters export: every reading once, no message of one name with two different
// bytes. It ends the field with SIGTERM. Call [Field.Drain] before.
func (f *Field) audit(through time.Time) {
	f.t.Helper()
	a := f.auditor(through)
	for _, text := range a.run() {
		f.t.Error(text)
	}
	f.t.Logf("audited: %d readings in %d messages of which the TTP still has the digests", a.readings, a.messages)
}

// auditor ends what still runs and opens what it has left.
func (f *Field) auditor(through time.Time) *auditor {
	f.t.Helper()
	a := &auditor{f: f, through: through.Unix(), meters: f.status(), number: f.number()}
	for _, p := range slices.Backward(f.processes()) {
		if p.Running() {
			f.Stop(p)
		}
	}
	a.names = f.pseudonyms()
	var err error
	if a.store, err = readingspebble.Open(f.folder("ttp", "readings"), readingspebble.Options{}); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = a.store.Close() })
	return a
}

// run audits all meters and says what is wrong.
func (a *auditor) run() []string {
	a.f.t.Helper()
	a.readings, a.messages, a.wrong = 0, 0, nil
	for fleet, list := range a.meters {
		for _, m := range list {
			a.meter(fleet, m)
		}
	}
	// The TTP forgets the digests of epochs that many others followed, but it
	// has compared each message when it came.
	if strings.Contains(a.f.TTP.Log(), "counter used twice") {
		a.fault("the TTP has found a counter used twice")
	}
	if a.readings == 0 || a.messages == 0 {
		a.fault("there are no readings")
	}
	return a.wrong
}

func (a *auditor) fault(format string, values ...any) {
	a.wrong = append(a.wrong, fmt.Sprintf(format, values...))
}

// status is how the meters stand.
func (f *Field) status() map[*Process][]MeterStatus {
	f.t.Helper()
	all := make(map[*Process][]MeterStatus)
	for _, p := range f.Fleets {
		list, err := p.Meters()
		if err != nil {
			f.t.Fatal(err)
		}
		all[p] = list
	}
	return all
}

// number is the utility's number at the TTP.
func (f *Field) number() wattveil.UCNumber {
	f.t.Helper()
	var s api.Status
	if err := json.Unmarshal([]byte(f.command("ttp", "status", "--json", "--dir", f.TTP.dir)), &s); err != nil {
		f.t.Fatal(err)
	}
	if len(s.Utilities) != 1 {
		f.t.Fatalf("the TTP has %d utilities, want 1", len(s.Utilities))
	}
	return wattveil.UCNumber(s.Utilities[0].Number)
}

// pseudonyms opens the folder of the utility, which has ended.
func (f *Field) pseudonyms() map[wattveil.MeterID]wattveil.Pseudonym {
	f.t.Helper()
	authority, err := peer.LoadAuthority(f.Utility.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	id, err := peer.LoadIdentity(f.Utility.dir, "server")
	if err != nil {
		f.t.Fatal(err)
	}
	u, err := utility.Open(context.Background(), utility.Config{Dir: f.Utility.dir, Org: utilityOrg, Authority: authority, Identity: id})
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	names, err := u.Meters(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// meter audits one meter.
func (a *auditor) meter(fleet *Process, status MeterStatus) {
	t := a.f.t
	t.Helper()
	id, err := wattveil.ParseMeterID(status.Meter)
	if err != nil {
		t.Fatal(err)
	}
	m := wattveil.Meter{UC: a.number, Pseudonym: a.names[id]}
	folded, err := a.store.Read(context.Background(), m, 0, readings.MaxTime)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(folded.Conflicts); n > 0 {
		a.fault("%d readings of meter %v at the TTP have two values", n, id)
	}
	own := a.exported(fleet, status.Meter)
	a.compare(id, own, folded)
	if status.Missing > 0 || status.Dropped > 0 {
		a.fault("meter %v misses %d readings and has dropped %d", id, status.Missing, status.Dropped)
	}
	a.counters(m, wattveil.Epoch(status.Epoch))
}

// exported reads what the meter's own command shows, by time.
func (a *auditor) exported(fleet *Process, id string) map[int64]wattveil.Reading {
	t := a.f.t
	t.Helper()
	text, err := a.f.run(Meter, "export", "--data", fleet.dir, id)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	own := make(map[int64]wattveil.Reading)
	for _, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		own[at.Unix()] = wattveil.Reading{Time: at.Unix(), Import: register(t, row[1]), Export: register(t, row[2])}
	}
	if len(own) != len(rows)-1 || len(own) == 0 {
		a.fault("meter %s exports %d rows of %d times", id, len(rows)-1, len(own))
	}
	return own
}

func register(t testing.TB, text string) wattveil.Register {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return wattveil.Register(n)
}

// compare holds the stored readings to the exported ones. Registers at the TTP
// are moved by a base, so that energies are compared.
func (a *auditor) compare(id wattveil.MeterID, own map[int64]wattveil.Reading, folded readings.Folded) {
	seen := make(map[int64]bool)
	var first wattveil.Reading // at the TTP
	for _, run := range folded.Runs {
		for _, r := range run.Readings {
			mine, ok := own[r.Time]
			if !ok || seen[r.Time] {
				a.fault("meter %v: the TTP has a reading that the meter does not have, or has it twice", id)
				return
			}
			if len(seen) == 0 {
				first = r
			}
			seen[r.Time] = true
			base := own[first.Time]
			if r.Import.Since(first.Import) != mine.Import.Since(base.Import) || r.Export.Since(first.Export) != mine.Export.Since(base.Export) {
				a.fault("meter %v: a reading at the TTP has another value than the meter's", id)
				return
			}
		}
	}
	var lost []int64
	for at := range own {
		if at <= a.through && !seen[at] {
			lost = append(lost, at)
		}
	}
	if len(lost) > 0 {
		a.fault("meter %v: %d of %d readings are not at the TTP, such as that of %s", id, len(lost), len(own), time.Unix(lost[0], 0).UTC())
	}
	a.readings += len(seen)
}

// counters looks at every message whose digest the TTP has.
func (a *auditor) counters(m wattveil.Meter, last wattveil.Epoch) {
	t := a.f.t
	t.Helper()
	ctx := context.Background()
	for epoch := wattveil.Epoch(1); epoch <= last+1; epoch++ {
		highest, ok, err := a.store.LastCounter(ctx, m, epoch)
		if err != nil {
			t.Fatal(err)
		}
		for c := wattveil.Counter(0); ok && c <= highest; c++ {
			digests, err := a.store.Digests(ctx, m, epoch, c)
			if err != nil {
				t.Fatal(err)
			}
			if len(digests) > 1 {
				a.fault("meter %v, epoch %d, counter %d: %d messages with different bytes", m, epoch, c, len(digests))
			}
			a.messages += len(digests)
		}
	}
}
