package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// Metrics counts what the API does, in the form Prometheus reads. No label
// holds an identifier: each takes its values from a closed list of ours.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	signals  *prometheus.CounterVec
	consents *prometheus.CounterVec
	events   *prometheus.CounterVec
	bids     prometheus.Counter
	noBids   *prometheus.CounterVec
	notices  *prometheus.CounterVec
}

// NewMetrics makes the counters.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "aloud_http_request_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"route", "status"}),
		signals:  vec("aloud_signals_total", "Signals by what became of them; reason is set if refused.", "result", "reason"),
		consents: vec("aloud_decisions_total", "Consents, withdrawals and erasures.", "kind", "result"),
		events:   vec("aloud_events_total", "Behavioural events; dropped ones are of nobody who agreed to be matched.", "result"),
		bids:     prometheus.NewCounter(prometheus.CounterOpts{Name: "aloud_bids_total", Help: "Bid requests that were bid on."}),
		noBids:   vec("aloud_no_bids_total", "Bid requests that were not bid on, by reason.", "reason"),
		notices:  vec("aloud_notices_total", "Win and billing notices.", "kind", "result"),
	}
	m.registry.MustRegister(m.requests, m.signals, m.consents, m.events, m.bids, m.noBids, m.notices,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a figure that is asked for at each scrape.
func (m *Metrics) Gauge(name, help string, ask func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, ask))
}

// Counter adds a running total that is asked for at each scrape.
func (m *Metrics) Counter(name, help string, ask func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(ask()) }))
}

func vec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *Metrics) signal(r collector.Result) {
	m.signals.WithLabelValues(string(r.Status), string(aloud.ErrorCode(r.Err))).Inc()
}

func (m *Metrics) consent(kind string, err error) {
	m.consents.WithLabelValues(kind, resultOf(err)).Inc()
}

func (m *Metrics) event(r collector.EventResult) {
	result := resultOf(r.Err)
	switch {
	case r.Duplicate:
		result = "duplicate"
	case r.Dropped:
		result = "dropped"
	}
	m.events.WithLabelValues(result).Inc()
}

func (m *Metrics) bid(reason string) {
	if reason == "" {
		m.bids.Inc()
		return
	}
	m.noBids.WithLabelValues(reason).Inc()
}

func (m *Metrics) notice(kind string, err error) {
	m.notices.WithLabelValues(kind, resultOf(err)).Inc()
}

func resultOf(err error) string {
	if err == nil {
		return "accepted"
	}
	return string(aloud.ErrorCode(err))
}
