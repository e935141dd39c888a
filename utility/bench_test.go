package utility

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// benchFrames are data messages of k blocks, each of another meter of so many.
func benchFrames(tb testing.TB, r *rig, meters, n, k int) [][]byte {
	all := r.meters(meters)
	frames := make([][]byte, n)
	for i := range frames {
		m := all[i%meters]
		sealer := wire.NewSealer(m.id(), m.answer.Meter, 1, &wire.DirectionKey{}, m.tag)
		frames[i] = sealer.Append(nil, wattveil.Counter(i), make([]byte, k*wire.BlockUnit))
	}
	return frames
}

// takeAll takes frames as a post does, but for the way to the TTP.
func (r *rig) takeAll(frames [][]byte, tagger *wire.Tagger) *post {
	p := newPost("a", frames)
	for i, frame := range frames {
		p.verdicts[i] = r.verdict(r.take(r.t.Context(), p, i, frame, tagger))
	}
	return p
}

// BenchmarkTake checks UC tags and puts pseudonyms into a post of 4,096 data
// messages, beside a bare HMAC of the same bytes. What is left of allocations
// is the post's, not its messages'.
func BenchmarkTake(b *testing.B) {
	for _, size := range []struct{ readings, k int }{{1, 1}, {96, 17}} {
		const n = wire.MaxBatchMessages
		r := enrolled(b, "a")
		frames := benchFrames(b, r, 512, n, size.k)
		b.Run(fmt.Sprintf("readings=%d", size.readings), func(b *testing.B) {
			tagger := wire.NewTagger()
			work := make([][]byte, n)
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				for i, f := range frames { // rewriting is in place
					work[i] = append(work[i][:0], f...)
				}
				b.StartTimer()
				if p := r.takeAll(work, tagger); len(p.messages) != n {
					b.Fatalf("%d of %d messages are good", len(p.messages), n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
		})
		b.Run(fmt.Sprintf("readings=%d/bare HMAC", size.readings), func(b *testing.B) {
			mac, sum := hmac.New(sha256.New, make([]byte, 32)), make([]byte, 0, 32)
			for range b.N {
				for _, f := range frames {
					mac.Reset()
					mac.Write(f[:len(f)-wire.TagSize])
					sum = mac.Sum(sum[:0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
		})
	}
}

// A data message of a meter held in memory costs no allocation.
func TestNoAllocationPerMessage(t *testing.T) {
	r := enrolled(t, "a")
	tagger := wire.NewTagger()
	cost := func(n int) float64 {
		frames := benchFrames(t, r, 4, n, 1)
		work := make([][]byte, n)
		for i := range work {
			work[i] = make([]byte, len(frames[i]))
		}
		return testing.AllocsPerRun(20, func() {
			for i, f := range frames {
				work[i] = append(work[i][:0], f...)
			}
			r.takeAll(work, tagger)
		})
	}
	// One allocation a message would be 800 more. The count is the whole
	// process's, and the rig has goroutines of its own: a slow run, as under the
	// race detector, counts some of theirs.
	if few, many := cost(8), cost(808); many-few > 80 {
		t.Errorf("a post of 8 messages allocates %v times, one of 808 %v times", few, many)
	}
}

// BenchmarkForward is a whole post of 4,096 data messages, but for the TTP's
// own work.
func BenchmarkForward(b *testing.B) {
	r := enrolled(b, "a")
	frames := benchFrames(b, r, 512, wire.MaxBatchMessages, 17)
	b.ReportAllocs()
	for range b.N {
		if a := r.send(frames...); a.Verdicts[0] != wire.Durable {
			b.Fatal(a.Verdicts[0])
		}
		b.StopTimer()
		r.ttp.set(func(f *fakeTTP) { f.calls = nil })
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*len(frames))/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkRegister answers registrations, 256 in a post.
func BenchmarkRegister(b *testing.B) {
	r := enrolled(b, "a")
	meters := r.newMeters(registeredAtOnce)
	for range b.N {
		b.StopTimer()
		frames := make([][]byte, len(meters))
		for i, m := range meters {
			frames[i] = m.request(m.next())
		}
		if _, err := r.db.Exec(`DELETE FROM statements; DELETE FROM pseudonyms; UPDATE meters SET mu = NULL, last_time = 0`); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if a := r.send(frames...); len(a.Downlinks) != len(meters) {
			b.Fatal(len(a.Downlinks))
		}
	}
	b.ReportMetric(float64(b.N*len(meters))/b.Elapsed().Seconds(), "registrations/s")
}
