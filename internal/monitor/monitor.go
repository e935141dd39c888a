// Package monitor shows how a server does: /healthz, /readyz and /metrics for
// Prometheus, over plain HTTP on the loopback. Labels carry classes and
// verdicts and never the name of a meter, a customer or a party.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wattveil/wattveil/wire"
)

const (
	namespace     = "wattveil"
	headerTimeout = 10 * time.Second
	writeTimeout  = 30 * time.Second
	scrapes       = 4 // at once
)

// Monitor collects what a server shows. It is safe for concurrent use.
type Monitor struct {
	registry *prometheus.Registry
	refused  *prometheus.CounterVec
	batch    prometheus.Histogram
	ready    func(context.Context) error
}

// Sample is one figure at one moment.
type Sample struct {
	Name    string // after "wattveil_"; a counter's ends in "_total"
	Help    string
	Counter bool // rises until the server ends
	// Label and Of tell one of several figures of a name, such as "class" and
	// "forged"; empty if there is one.
	Label, Of string
	Value     float64
}

// New makes a monitor for a role. ready says what keeps the server from its
// work, or nil.
func New(role string, ready func(context.Context) error) *Monitor {
	constant := prometheus.Labels{"role": role}
	m := &Monitor{
		registry: prometheus.NewRegistry(),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "peer_refusals_total", ConstLabels: constant,
			Help: "Connections and requests of other parties that were refused, by class.",
		}, []string{"class"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "batch_seconds", ConstLabels: constant,
			Help:    "Time that a batch of messages took until it was answered.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 14),
		}),
		ready: ready,
	}
	m.registry.MustRegister(m.refused, m.batch,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Refused counts a refusal.
func (m *Monitor) Refused(class wire.Class) { m.refused.WithLabelValues(string(class)).Inc() }

// BatchTook notes how long a batch took.
func (m *Monitor) BatchTook(d time.Duration) { m.batch.Observe(d.Seconds()) }

// Add shows the samples that a function gives at the time of asking.
func (m *Monitor) Add(role string, samples func() []Sample) {
	m.registry.MustRegister(&sampler{role, samples})
}

// sampler shows samples. It describes none beforehand, since which there are
// changes with what happens.
type sampler struct {
	role    string
	samples func() []Sample
}

// Describe implements prometheus.Collector.
func (*sampler) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *sampler) Collect(out chan<- prometheus.Metric) {
	for _, v := range s.samples() {
		kind := prometheus.GaugeValue
		if v.Counter {
			kind = prometheus.CounterValue
		}
		var labels, values []string
		if v.Label != "" {
			labels, values = []string{v.Label}, []string{v.Of}
		}
		name := prometheus.BuildFQName(namespace, "", v.Name)
		desc := prometheus.NewDesc(name, v.Help, labels, prometheus.Labels{"role": s.role})
		metric, err := prometheus.NewConstMetric(desc, kind, v.Value, values...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		out <- metric
	}
}

// Handler answers /healthz, /readyz and /metrics.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := m.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
	return mux
}

// Server serves the handler.
func (m *Monitor) Server() *http.Server {
	return &http.Server{
		Handler:           m.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      writeTimeout,
		ErrorLog:          log.New(io.Discard, "", 0), // its lines carry addresses
	}
}

// CheckAddress refuses an address that others than this machine can reach:
// what is shown is not secret, and not for everyone.
func CheckAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q: want HOST:PORT", address)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("address %q: %w", address, errNotLoopback)
}

var errNotLoopback = errors.New("metrics go over plain HTTP: want a loopback address such as 127.0.0.1:9440, and a proxy for whoever else may see them")
