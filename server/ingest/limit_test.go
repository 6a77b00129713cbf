package ingest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud/server/ingest"
)

// from makes an address of 127.0.0.0/8 the client's own.
func from(address string) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}

// TestASlowClientHoldsUpNobody fills the room for one address with requests
// whose bodies don't come, and asks for what must be answered all the same.
func TestASlowClientHoldsUpNobody(t *testing.T) {
	api, err := ingest.New(func() ingest.Config {
		c := config(t, &stages{reason: "no_match"})
		c.MaxInFlight = 16
		return c
	}())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	url := "http://" + ln.Addr().String()
	call := func(c *http.Client, method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	same, other := from("127.0.0.1"), from("127.0.0.2")

	for range 100 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprint(conn, "POST /v1/signals HTTP/1.1\r\nHost: aloud\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		status, text := call(same, http.MethodPost, "/v1/signals", signals)
		if status == http.StatusServiceUnavailable && strings.Contains(text, "your address") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("an address with 100 requests open gets %d %s", status, text)
		}
	}
	const withdrawal, erasure = `{"withdrawal":"a.b.c"}`, `{"erasure":"a.b.c"}`
	for name, c := range map[string]*http.Client{"the slow address": same, "another": other} {
		for _, x := range []struct {
			method, path, body string
			want               int
		}{
			{"POST", "/v1/withdrawals", withdrawal, 200},
			{"POST", "/v1/erasures", erasure, 200},
			{"POST", "/openrtb2/bid", "{}", 204},
			{"GET", "/healthz", "", 200},
			{"GET", "/readyz", "", 200},
			{"GET", "/metrics", "", 200},
		} {
			if status, text := call(c, x.method, x.path, x.body); status != x.want {
				t.Errorf("%s: %s gets %d %s", name, x.path, status, text)
			}
		}
	}
	if status, text := call(other, http.MethodPost, "/v1/signals", signals); status != http.StatusOK {
		t.Errorf("another address sends a signal and gets %d %s", status, text)
	}
}
