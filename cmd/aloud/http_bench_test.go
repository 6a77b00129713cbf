package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
)

// BenchmarkHTTP measures a whole server over HTTP, client included, beside the
// floor: a handler that reads the same body and answers at once. Compare within
// one run. On a disk that syncs, signals are bound by the sync that each group
// waits for: ns/signal falls with the number of senders.
func BenchmarkHTTP(b *testing.B) {
	n := startNode(b, b.TempDir(), func(c *NodeConfig) { c.Minimum = 1 })
	s := serviceAt(b, n.URL, n.Config.Data, time.Now)
	s.advertise(b, 1000)
	cell, err := signal.CellAt(inDenverLat, inDenverLon)
	if err != nil {
		b.Fatal(err)
	}
	people := make([]*participant, 64)
	for i := range people {
		people[i] = s.join(b)
		now := time.Now()
		s.must(b, http.StatusOK, http.MethodPost, "/v1/signals", batch(people[i].says(b, "home.hvac", aloud.StageNeed, now, now, aloud.SourceFile, cell)), nil)
	}
	eventually(b, 10*time.Second, "a member", func() bool {
		status, _, _, err := s.call(b.Context(), http.MethodPost, "/openrtb2/bid", bidRequest(people[0].buyerUID))
		return err == nil && status == http.StatusOK
	})
	floor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte(`{"results":[]}`))
	}))
	defer floor.Close()

	signals := func(b *testing.B, perRequest int) [][]byte {
		b.Helper()
		bodies := make([][]byte, b.N)
		now := time.Now()
		for i := range bodies {
			tokens := make([]string, perRequest)
			for j := range tokens {
				tokens[j] = people[(i*perRequest+j)%len(people)].says(b, "auto.tires", aloud.StageNeed, now, now, aloud.SourceFile, cell)
			}
			if bodies[i], err = json.Marshal(batch(tokens...)); err != nil {
				b.Fatal(err)
			}
		}
		return bodies
	}
	bids := func(b *testing.B, _ int) [][]byte {
		b.Helper()
		bodies := make([][]byte, b.N)
		for i := range bodies {
			bodies[i] = []byte(bidRequest(people[i%len(people)].buyerUID))
		}
		return bodies
	}
	nobody := func(b *testing.B, _ int) [][]byte {
		b.Helper()
		bodies := make([][]byte, b.N)
		for i := range bodies {
			bodies[i] = []byte(bidRequest("nobody"))
		}
		return bodies
	}
	for _, c := range []struct {
		name, url  string
		bodies     func(*testing.B, int) [][]byte
		perRequest int
	}{
		{"floor/signal", floor.URL, signals, 1},
		{"signals/1", s.url + "/v1/signals", signals, 1},
		{"floor/signals", floor.URL, signals, 64},
		{"signals/64", s.url + "/v1/signals", signals, 64},
		{"floor/bid", floor.URL, nobody, 1},
		{"nobid", s.url + "/openrtb2/bid", nobody, 1},
		{"bid", s.url + "/openrtb2/bid", bids, 1},
	} {
		b.Run(c.name, func(b *testing.B) { post(b, c.url, c.bodies(b, c.perRequest), c.perRequest) })
	}
}

// post sends the bodies by 32 senders and counts what was refused as a failure.
func post(b *testing.B, url string, bodies [][]byte, each int) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var next atomic.Int64
	b.SetParallelism(16) // times the cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Post(url, "application/json", bytes.NewReader(bodies[next.Add(1)-1]))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode >= 300 {
				b.Errorf("status %d", res.StatusCode)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*each), "ns/item")
}
