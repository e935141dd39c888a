package main

import (
	"context"
	"sync"
	"time"

	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/collector/queue"
	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/utility"
	"github.com/wattveil/wattveil/wire"
)

// What the metrics say in all roles.
const (
	helpVerdicts = "Verdicts on frames and messages."
	helpRefused  = "Frames and messages refused, by class."
	helpMeters   = "Meters by how far they have come."
	helpCert     = "When the server's certificate expires, Unix seconds."
)

// countedFor is how long counts of a whole registry are good.
const countedFor = 15 * time.Second

// held keeps an answer that is dear to get for a while.
type held[T any] struct {
	mu    sync.Mutex
	value T
	until time.Time
}

func (h *held[T]) get(ask func(context.Context) (T, error)) (T, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(h.until) {
		return h.value, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), countedFor)
	defer cancel()
	value, err := ask(ctx)
	if err != nil {
		return value, false // the figure is missing, which is what a gap is for
	}
	h.value, h.until = value, time.Now().Add(countedFor)
	return value, true
}

func counter(name, help string, value uint64) monitor.Sample {
	return monitor.Sample{Name: name, Help: help, Counter: true, Value: float64(value)}
}

func gauge(name, help string, value float64) monitor.Sample {
	return monitor.Sample{Name: name, Help: help, Value: value}
}

func labelled(s monitor.Sample, label, of string) monitor.Sample {
	s.Label, s.Of = label, of
	return s
}

func verdictSamples(verdicts map[wire.Verdict]uint64) (list []monitor.Sample) {
	for v, n := range verdicts {
		list = append(list, labelled(counter("verdicts_total", helpVerdicts, n), "verdict", v.String()))
	}
	return list
}

func refusedSamples(refused map[wire.Class]int64) (list []monitor.Sample) {
	for class, n := range refused {
		list = append(list, labelled(counter("refused_total", helpRefused, uint64(n)), "class", string(class)))
	}
	return list
}

func meterSample(state string, n int) monitor.Sample {
	return labelled(gauge("meters", helpMeters, float64(n)), "state", state)
}

func certificateSample(id *peer.Identity) monitor.Sample {
	return gauge("certificate_expires_seconds", helpCert, float64(id.Certificate().NotAfter.Unix()))
}

func utilitySamples(u *utility.Utility, id *peer.Identity) func() []monitor.Sample {
	var meters held[utility.MeterCounts]
	var pairs held[utility.PairCounts]
	return func() []monitor.Sample {
		s := u.Stats()
		list := append(verdictSamples(s.Verdicts), refusedSamples(u.Refused())...)
		list = append(list,
			counter("posts_total", "Posts of collectors.", s.Posts),
			counter("late_posts_total", "Posts for an interval that was sent on already.", s.LatePosts),
			gauge("collectors", "Collectors that may post.", float64(len(u.Collectors()))),
			gauge("ttps", "TTPs in use.", float64(len(u.TTPs()))),
			certificateSample(id),
		)
		if n, ok := meters.get(u.MeterCounts); ok {
			list = append(list, meterSample("added", n.Added), meterSample("registered", n.Registered),
				meterSample("enrolled", n.Enrolled), meterSample("refused", n.Refused),
				meterSample("draining", n.Draining), meterSample("ended", n.Ended))
		}
		if n, ok := pairs.get(u.CountPairs); ok {
			list = append(list,
				gauge("log_forks", "Pairs of checkpoints that prove that a TTP has shown two bill logs.", float64(n.Forks)),
				gauge("log_unproven", "Pairs of checkpoints of which a TTP has not proven that one continues the other.", float64(n.Unproven)))
		}
		return list
	}
}

func ttpSamples(t *ttp.TTP, id *peer.Identity) func() []monitor.Sample {
	var utilities held[[]ttp.Utility]
	return func() []monitor.Sample {
		s := t.Stats()
		list := append(verdictSamples(s.Verdicts), refusedSamples(t.Refused())...)
		list = append(list,
			counter("batches_total", "Batches of messages.", s.Batches),
			counter("readings_total", "Readings made durable, repeats left out.", s.Readings),
			labelled(counter("bills_total", "Bills asked for.", s.Bills), "outcome", "given"),
			labelled(counter("bills_total", "Bills asked for.", s.NoBills), "outcome", "refused"),
			certificateSample(id),
		)
		if known, ok := utilities.get(t.Utilities); ok {
			var sum ttp.MeterCounts
			admitted := 0
			for _, u := range known {
				sum.Enrolled += u.Meters.Enrolled
				sum.Keyed += u.Meters.Keyed
				sum.Unconfirmed += u.Meters.Unconfirmed
				sum.Failed += u.Meters.Failed
				if !u.Removed {
					admitted++
				}
			}
			list = append(list, gauge("utilities", "Utilities that are let in.", float64(admitted)),
				meterSample("enrolled", sum.Enrolled), meterSample("keyed", sum.Keyed), meterSample("unconfirmed", sum.Unconfirmed),
				meterSample("claims_failed", sum.Failed))
		}
		return list
	}
}

func collectorSamples(c *collector.Collector, q *queue.Queue, id *peer.Identity) func() []monitor.Sample {
	return func() []monitor.Sample {
		s := c.Stats()
		quarantined, discarded := q.Quarantined()
		list := verdictSamples(map[wire.Verdict]uint64{
			wire.Durable: s.Durable, wire.Later: s.Later, wire.Rekey: s.Rekey, wire.Never: s.Never,
		})
		const helpFrames = "Frames of meters that were not taken, by reason."
		list = append(list,
			counter("held_total", "Frames acknowledged, each time that they came.", s.Held),
			labelled(counter("not_taken_total", helpFrames, s.Malformed), "reason", "malformed"),
			labelled(counter("not_taken_total", helpFrames, s.Full), "reason", "full"),
			labelled(counter("not_taken_total", helpFrames, s.Failed), "reason", "disk"),
			counter("strangers_total", "Connections with a password that is not on the roster.", s.Strangers),
			counter("taken_over_total", "Connections that another one of the same meter ended; many mean that two devices share a meter's keys.", s.TakenOver),
			gauge("connected_meters", "Meters connected now.", float64(s.Connected)),
			gauge("roster_meters", "Meters that may connect.", float64(s.Meters)),
			counter("posts_total", "Posts that were answered.", s.Posts),
			counter("failed_posts_total", "Posts that were not.", s.FailedPosts),
			counter("downlinks_total", "Frames sent to meters.", s.Downlinks),
			counter("lost_downlinks_total", "Frames for meters that are not connected here.", s.LostDownlinks),
			counter("failed_renewals_total", "Renewals of the certificate that failed.", s.FailedRenewals),
			gauge("queue_frames", "Frames in the queue.", float64(s.Queued)),
			gauge("queue_bytes", "Bytes of frames in the queue.", float64(q.Bytes())),
			gauge("quarantine_frames", "Refused frames that are kept.", float64(quarantined)),
			counter("quarantine_discarded_total", "Refused frames that fell out of the quarantine.", discarded),
			certificateSample(id),
		)
		if oldest, err := q.Oldest(); err == nil {
			age := 0.0
			if !oldest.IsZero() {
				age = max(time.Since(oldest).Seconds(), 0)
			}
			list = append(list, gauge("queue_age_seconds", "Age of the oldest frame in the queue.", age))
		}
		return list
	}
}
