package grid

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/peer"
	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp/api"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/wire"
)

// The households of the meters between which and the TTP a utility stands. The
// utility's sham meter of the second says in M1 that it is pinned. The meter of
// the third is pinned to the TTP's root.
const (
	honest = iota
	lying
	pinned
)

// between is an active utility (spec/threats.md section 4). It is made of two
// platforms. On the near one real meters meet a TTP of the utility's own making,
// whose statement its key generation center signed. On the far one sham meters
// under the same names meet the real TTP, and seal for it the readings that the
// utility has opened on the near one. So both exchanges, and all that follows
// them, go over real sockets, and the TTP sees readings.
type between struct {
	*testing.T
	cfg       Config
	near, far *Grid
	portal    string // the real TTP's
}

// sameNames gives two utilities' meters the same names.
type sameNames struct{ last wattveil.MeterID }

var _ utility.Names = (*sameNames)(nil)

// MeterID implements utility.Names.
func (n *sameNames) MeterID() wattveil.MeterID { n.last++; return n.last }

// Pseudonym implements utility.Names.
func (n *sameNames) Pseudonym(id wattveil.MeterID) wattveil.Pseudonym {
	return 0x1122334455667788 ^ wattveil.Pseudonym(id)<<40
}

// stolen is the load that the utility has read on the near platform.
type stolen struct {
	ctx   context.Context
	store *readingspebble.Store
	meter wattveil.Meter
}

// Energy implements source.Load.
func (s *stolen) Energy(start int64) (imp, exp wattveil.Wh, ok bool) {
	f, err := s.store.Read(s.ctx, s.meter, start, start+int64(testResolution))
	if err != nil || len(f.Runs) != 1 || len(f.Runs[0].Readings) != 2 {
		return 0, 0, false
	}
	r := f.Runs[0].Readings
	return r[1].Import.Since(r[0].Import), r[1].Export.Since(r[0].Export), true
}

func newBetween(t *testing.T) *between {
	t.Helper()
	b := &between{T: t, cfg: testConfig(t, 3, 1)}
	near, far := b.cfg, b.cfg
	near.Names, far.Names = new(sameNames), new(sameNames)
	near.Dir, far.Dir = filepath.Join(b.cfg.Dir, "near"), filepath.Join(b.cfg.Dir, "far")
	far.Households = make([]Household, pinned) // none for the meter that does not play along
	loads := make([]*stolen, pinned)
	for i := range loads {
		loads[i] = &stolen{ctx: t.Context()}
		far.Households[i] = Household{Column: fmt.Sprintf("sham-%d", i), Load: loads[i]}
	}
	far.Pin = func(i int, root [32]byte) *[32]byte {
		if i == lying {
			return &root
		}
		return nil
	}
	b.far = open(t, far)
	genuine := clpke.RootFingerprint(b.far.ttpRole().RootKey())
	near.Pin = func(i int, _ [32]byte) *[32]byte {
		if i == pinned {
			return &genuine
		}
		return nil
	}
	b.near = open(t, near)
	b.share()
	for i, load := range loads {
		load.store, load.meter = b.near.ttp.store, b.near.meters[i].agent.Status().Meter
	}
	b.serve()
	return b
}

func (b *between) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// share brings both platforms to where the meters share keys: the real ones
// with the utility, the sham ones with the TTP.
func (b *between) share() {
	b.Helper()
	ctx, first := b.Context(), time.Unix(b.cfg.Start, 0)
	for b.near.Keyed() < pinned && b.near.next.Before(first) {
		b.must(b.near.Tick(ctx, b.near.next))
	}
	if n := b.near.Keyed(); n != pinned {
		b.Fatalf("%d unpinned meters took the utility's keys, want %d", n, pinned)
	}
	b.must(b.far.Ready(ctx))
}

// serve starts the real TTP's portal.
func (b *between) serve() {
	b.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	b.must(err)
	b.portal = fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	p, err := b.far.Portal(b.portal)
	b.must(err)
	done := make(chan error, 1)
	go func() { done <- p.Serve(l) }()
	b.Cleanup(func() {
		b.must(p.Close())
		b.must(<-done)
	})
}

// play brings both platforms to hours after the first reading. The far one is a
// step behind, since the utility reads before it seals.
func (b *between) play(hours int) {
	b.Helper()
	step := testResolution.Duration()
	until := time.Unix(b.cfg.Start, 0).Add(time.Duration(hours) * time.Hour)
	at := time.Unix(b.cfg.Start, 0)
	if now := b.far.Clock().Now(); !now.Before(at) {
		at = now.Add(step)
	}
	for ; !at.After(until); at = at.Add(step) {
		b.must(b.near.Tick(b.Context(), at))
		b.must(b.far.Tick(b.Context(), at))
	}
}

// shown is the code that a meter shows.
func (b *between) shown(m *meterNode) string {
	b.Helper()
	code, ok := m.agent.ClaimCode()
	if !ok {
		b.Fatalf("the meter of %s shows no code", m.column)
	}
	return code
}

var answerClass = regexp.MustCompile(`data-class="([a-z-]+)"`)

// claim types a code at the portal: the class of its refusal, or where the
// visitor is sent.
func (b *between) claim(code string) string {
	b.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(b.portal+"/claim", url.Values{"code": {code}})
	b.must(err)
	defer func() { _ = answer.Body.Close() }()
	page, err := io.ReadAll(answer.Body)
	b.must(err)
	if found := answerClass.FindSubmatch(page); found != nil {
		for _, c := range answer.Cookies() {
			b.Errorf("a refusal sets the cookie %s", c.Name)
		}
		return string(found[1])
	}
	return answer.Header.Get("Location")
}

// status is what the TTP's operator is told of the utility.
func (b *between) status() api.Utility {
	b.Helper()
	var s api.Status
	b.must(operator.Local(api.New(api.Config{
		TTP: b.far.ttpRole(), Self: b.far.ttp.identity,
		Contact: func() (peer.Contact, error) {
			return peer.Contact{Authorities: []*x509.Certificate{b.far.ttp.authority.Certificate}}, nil
		},
	})).Do(b.Context(), http.MethodGet, "/v1/status", nil, &s))
	if len(s.Utilities) != 1 {
		b.Fatalf("%d utilities, want one", len(s.Utilities))
	}
	return s.Utilities[0]
}

func (b *between) wantCounts(when string, unconfirmed, failed int) {
	b.Helper()
	if u := b.status(); u.Enrolled != pinned || u.Keyed != pinned || u.Unconfirmed != unconfirmed || u.Failed != failed {
		b.Errorf("%s, %d meters are enrolled, %d keyed, %d unconfirmed and %d flagged; want %d, %d, %d and %d",
			when, u.Enrolled, u.Keyed, u.Unconfirmed, u.Failed, pinned, pinned, unconfirmed, failed)
	}
}

// registry is all that the real TTP's registry holds, by table.
func (b *between) registry() map[string]string {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.far.ttp.folder.File("ttp.db")+"?mode=ro")
	b.must(err)
	defer func() { _ = db.Close() }()
	tables := make(map[string]string)
	for _, row := range b.rows(db, `SELECT name FROM sqlite_master WHERE type = 'table'`) {
		name := row[0].(string)
		tables[name] = fmt.Sprintf("%x", b.rows(db, `SELECT * FROM "`+name+`"`))
	}
	return tables
}

func (b *between) rows(db *sql.DB, query string) (list [][]any) {
	b.Helper()
	rows, err := db.QueryContext(b.Context(), query)
	b.must(err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	b.must(err)
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		b.must(rows.Scan(into...))
		list = append(list, row)
	}
	b.must(rows.Err())
	return list
}

// TestInterception: who claims a meter between which and the TTP its utility
// stands is told so, and the TTP's operator sees it.
func TestInterception(t *testing.T) {
	b := newBetween(t)
	b.play(6)
	b.readsAlong()
	b.pinnedRefuses()
	b.wantCounts("before a claim", 1, 0) // the lying one is taken for pinned

	before := b.registry()
	for _, home := range []int{honest, lying} {
		shown, sham := b.shown(b.near.meters[home]), b.shown(b.far.meters[home])
		if shown[:4] != sham[:4] || shown == sham {
			t.Fatalf("home %d: the codes are not two of one locator", home)
		}
		if got := b.claim(shown); got != "interception" {
			t.Errorf("home %d: the code that the meter shows is answered %q, want interception", home, got)
		}
	}
	after := b.registry()
	if before["claim_flags"] == after["claim_flags"] || len(before) < 10 {
		t.Error("a refused claim raised no flag, or this looks at nothing")
	}
	delete(before, "claim_flags")
	delete(after, "claim_flags")
	if !maps.Equal(before, after) {
		t.Error("a refused claim changed more than the flag")
	}
	b.wantCounts("after one claim", 1, 0)
	for _, hour := range []int{8, 10} {
		b.play(hour)
		for _, home := range []int{honest, lying} {
			if got := b.claim(b.shown(b.near.meters[home])); got != "interception" {
				t.Errorf("home %d, hour %d: answered %q, want interception", home, hour, got)
			}
		}
	}
	b.wantCounts("after the third", 1, 2)
	b.claimsItself()
}

// readsAlong demands that the interception works: the utility has opened every
// reading, and the TTP has them too, so that nothing but the claim shows it.
func (b *between) readsAlong() {
	b.Helper()
	until := b.far.Clock().Now().Unix()
	for home := range pinned {
		for side, g := range map[string]*Grid{"utility": b.near, "TTP": b.far} {
			f, err := g.ttp.store.Read(b.Context(), g.meters[home].agent.Status().Meter, b.cfg.Start, until)
			b.must(err)
			if len(f.Runs) != 1 || len(f.Runs[0].Readings) != 13 || len(f.Conflicts) != 0 {
				b.Fatalf("home %d: the %s has not the 13 readings of 6 hours", home, side)
			}
			for i, r := range f.Runs[0].Readings[1:] {
				imp, _, _ := b.cfg.Households[home].Load.Energy(b.cfg.Start + int64(i)*int64(testResolution))
				if got := r.Import.Since(f.Runs[0].Readings[i].Import); got != imp {
					b.Fatalf("home %d: interval %d at the %s is not what the home used", home, i, side)
				}
			}
		}
	}
	if near, far := b.near.meters[honest].agent.Status().Meter, b.far.meters[honest].agent.Status().Meter; near != far {
		b.Fatalf("the meter is %v on one side and %v on the other", near, far)
	}
}

// pinnedRefuses demands that the pinned meter has taken nothing of the
// utility's, and keeps its readings.
func (b *between) pinnedRefuses() {
	b.Helper()
	m := b.near.meters[pinned]
	s := m.agent.Status()
	if s.State != meter.Unregistered || s.Refused[wire.Forged] == 0 || s.MessagesSent != 0 || s.Pending != 13 {
		b.Errorf("the pinned meter is %s, refused %v, sent %d messages and keeps %d readings; want it unregistered, forged, 0 and 13",
			s.State, s.Refused, s.MessagesSent, s.Pending)
	}
	if _, ok := m.agent.ClaimCode(); ok {
		b.Error("the pinned meter shows a code")
	}
}

// claimsItself: the utility can prove its sham meters, which confirms them and
// lifts no flag. The consumer is told all the same.
func (b *between) claimsItself() {
	b.Helper()
	flags := b.registry()["claim_flags"]
	for _, home := range []int{honest, lying} {
		if got := b.claim(b.shown(b.far.meters[home])); !strings.HasPrefix(got, "/claim/") {
			b.Errorf("home %d: the sham meter's own code is answered %q, want a proof", home, got)
		}
	}
	b.wantCounts("after the utility's own claims", 0, 2)
	if b.registry()["claim_flags"] != flags {
		b.Error("the utility's own claims changed the flags")
	}
	if got := b.claim(b.shown(b.near.meters[honest])); got != "interception" {
		b.Errorf("after the utility's own claim, the code that the meter shows is answered %q, want interception", got)
	}
}
