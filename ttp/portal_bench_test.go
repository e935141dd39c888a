package ttp

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
)

// BenchmarkPortalMonth shows random meters' months of 15-minute readings, over
// connections as browsers have them, 500 a second. It tells how many a second
// were shown, and how long the slowest of a hundred took. WATTVEIL_FULL=1
// stores 100,000 meters, which takes some minutes.
func BenchmarkPortalMonth(b *testing.B) {
	meters := 1_000
	if os.Getenv("WATTVEIL_FULL") != "" {
		meters = 100_000
	}
	p := newPortalRig(b)
	p.clock.add(presently.Sub(start))
	views := p.manyMeters(meters)
	p.serve()
	const aSecond = 500
	took := make([]time.Duration, b.N)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var wg sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for i := range b.N {
		due := began.Add(time.Duration(i) * time.Second / aSecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			views[i*7919%len(views)].show(b, client, p.server.URL())
			took[i] = time.Since(due) // waiting for a turn counts
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "views/s")
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(float64(meters), "meters")
	b.ReportMetric(float64(runtime.GOMAXPROCS(0)), "cores")
}

// monthView is a consumer who looks at a month.
type monthView struct{ path, cookie string }

func (v monthView) show(b *testing.B, client *http.Client, at string) {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, at+v.path, nil)
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Cookie", "__Host-session="+v.cookie)
	answer, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || n < 10_000 {
		b.Errorf("status %d, %d bytes, %v", answer.StatusCode, n, err)
	}
	_ = answer.Body.Close()
}

// manyMeters stores meters with a month of readings, each in an account of its
// own that is signed in.
func (p *portalRig) manyMeters(n int) []monthView {
	p.t.Helper()
	views := make([]monthView, n)
	now := p.clock.Now()
	must(p.t, registry.Tx(context.Background(), p.db, func(tx *sql.Tx) error {
		for i := range n {
			m := wattveil.Meter{UC: p.company.number, Pseudonym: wattveil.Pseudonym(i + 1)}
			account, token, ref := consumer.NewAccount(), consumer.NewToken(), newRef()
			_, err := tx.Exec(`INSERT INTO meters (uc, an_id, locator) VALUES (?, ?, ?)`, m.UC, int64(m.Pseudonym), wire.Locator(m))
			must(p.t, err)
			_, err = tx.Exec(`INSERT INTO accounts (account, created) VALUES (?, 0)`, account[:])
			must(p.t, err)
			must(p.t, addPasskey(p.t.Context(), tx, consumer.Passkey{Account: account, ID: account[:], PublicKey: []byte{1}}, now))
			_, err = tx.Exec(`INSERT INTO claims (uc, an_id, account, ref, since) VALUES (?, ?, ?, ?, 0)`, m.UC, int64(m.Pseudonym), account[:], ref)
			must(p.t, err)
			hash := token.Hash()
			_, err = tx.Exec(`INSERT INTO portal_sessions (token, account, passkey, began, ends, confirmed) VALUES (?, ?, ?, ?, ?, 0)`,
				hash[:], account[:], account[:], now.Unix(), now.Add(time.Hour).Unix())
			must(p.t, err)
			views[i] = monthView{fmt.Sprintf("/m/%s/use?by=month&at=2026-05-10", ref), base64.RawURLEncoding.EncodeToString(token[:])}
		}
		return nil
	}))
	p.manyReadings(n)
	return views
}

func (p *portalRig) manyReadings(n int) {
	p.t.Helper()
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, p.zone).Unix()
	const atOnce = 64
	for i := 0; i < n; i += atOnce {
		var batch []readings.Block
		for k := i; k < min(n, i+atOnce); k++ {
			list := make([]wattveil.Reading, 31*96+1)
			at := wattveil.Register(k)
			for j := range list {
				list[j] = wattveil.Reading{Time: from + int64(j)*quarter, Import: at}
				at = at.Add(wattveil.Wh(20 + (j*k)%171))
			}
			batch = append(batch, readings.Block{
				Meter: wattveil.Meter{UC: p.company.number, Pseudonym: wattveil.Pseudonym(k + 1)}, Epoch: 1, Counter: 1, Series: 1, Readings: list,
			})
		}
		must(p.t, p.store.Append(context.Background(), batch))
	}
}
