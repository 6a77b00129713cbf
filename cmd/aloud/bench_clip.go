//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/listen"
	"aloud.example/aloud/signal/uplink"
)

const (
	givenUp  = 6 * time.Second       // after the end of a clip no bid comes any more
	askEvery = 10 * time.Millisecond // for a bid
	block    = listen.Rate / 50      // samples that are piped at once
	leadIn   = listen.Rate / 2       // silence before a clip
)

// benchClips reads a manifest and all of its audio.
func benchClips(ctx context.Context, manifest string) ([]*clip, error) {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return nil, aloud.Errorf(aloud.ENOTFOUND, "read the manifest %q: %w", manifest, bare(err))
	}
	clips, err := parseManifest(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, c := range clips {
		if c.samples, err = loadAudio(ctx, filepath.Join(filepath.Dir(manifest), c.Audio)); err != nil {
			return nil, err
		}
	}
	return clips, nil
}

// prepare puts an audience and a line for each category on the server.
func (b *e2eBench) prepare(ctx context.Context) error {
	client, err := uplink.New(uplink.Config{URL: b.server.url})
	if err != nil {
		return err
	}
	notice, err := client.Notice(ctx)
	if err != nil {
		return err
	}
	hash := notice.Hash()
	b.notice = hex.EncodeToString(hash[:8])

	var adv struct {
		ID aloud.AdvertiserID `json:"id"`
	}
	if _, _, err := b.server.call(ctx, http.MethodPost, "/v1/advertisers", object{"name": "Bench (simulated)", "domain": "bench.example"}, &adv); err != nil {
		return err
	}
	var lines []object
	for _, c := range category.All() {
		var made audienceView
		rule := object{"name": string(c.Slug), "advertiser": adv.ID, "category": c.Slug, "window_seconds": 86400}
		if _, _, err := b.server.call(ctx, http.MethodPost, "/v1/audiences", rule, &made); err != nil {
			return err
		}
		lines = append(lines, object{
			"audience": made.ID, "cpm_micros": 5_000_000, "daily_budget_micros": 1_000_000_000, "frequency_cap": 1000,
			"creatives": []object{{"html": `<a href="https://bench.example/">bench</a>`, "w": 300, "h": 250}},
		})
	}
	for n := 1; len(lines) > 0; n++ {
		part := lines[:min(50, len(lines))]
		lines = lines[len(part):]
		name := fmt.Sprintf("Bench %d", n)
		if _, _, err := b.server.call(ctx, http.MethodPost, "/v1/campaigns", object{"advertiser": adv.ID, "name": name, "lines": part}, nil); err != nil {
			return err
		}
	}
	return nil
}

// enrol makes a participant.
func (b *e2eBench) enrol(ctx context.Context, name string) (dir, buyerUID string, err error) {
	var purposes []string
	for _, p := range consent.AllPurposes() {
		purposes = append(purposes, string(p))
	}
	dir = filepath.Join(b.dir, "devices", name)
	var said tail
	status := run(ctx, []string{
		"enrol", "--home", dir, "--server", b.server.url, "--grant", strings.Join(purposes, ","),
		"--adult", "--yes-i-read-the-notice", b.notice,
	}, &env{stdin: eof{}, stdout: &said, stderr: &said, now: b.e.now})
	if status != 0 {
		return "", "", aloud.Errorf(aloud.EUNAVAILABLE, "aloud enrol ended with status %d: %s", status, said.String())
	}
	srv, err := home{dir: dir}.server()
	return dir, srv.BuyerUID, err
}

// oneClip is what a clip gave, in seconds after the last sample of its speech.
type oneClip struct {
	intent            bool
	text, signal, bid float64
}

// clip lets a new participant say one clip.
func (b *e2eBench) clip(ctx context.Context, n int, c *clip) (one oneClip, err error) {
	dir, uid, err := b.enrol(ctx, fmt.Sprintf("%03d", n))
	if err != nil {
		return one, err
	}
	l, err := startListener(ctx, dir, b.o.model, true)
	if err != nil {
		return one, err
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	bids := b.ask(asking, uid)
	start, err := b.speak(ctx, l, c.samples, bids)
	stop()
	if err = firstOf(err, l.finish()); err != nil {
		return one, err
	}
	var bid bidAt
	select {
	case bid = <-bids:
	default:
	}
	if bid.err != nil && ctx.Err() == nil && bid.at.IsZero() {
		return one, bid.err
	}
	return b.judge(c, l.heard(), start, bid.at), nil
}

// judge counts from the last sample of the speech that an event rests on.
func (b *e2eBench) judge(c *clip, events []childEvent, start, bid time.Time) (one oneClip) {
	after := func(ev childEvent, at time.Time) float64 {
		from, to := int(ev.Start*listen.Rate)-leadIn, int(ev.End*listen.Rate)-leadIn
		end := speechEnd(c.samples, from, to) + leadIn
		return at.Sub(start.Add(time.Duration(end) * time.Second / listen.Rate)).Seconds()
	}
	if ev, ok := firstOfKind(events, "utterance", nil); ok {
		one.text = after(ev, ev.at)
	}
	found, ok := firstOfKind(events, "intent", inMarket)
	if !ok {
		return one
	}
	one.intent = true
	if ev, ok := firstOfKind(events, "signal", nil); ok {
		one.signal = after(found, ev.at)
	}
	if !bid.IsZero() {
		one.bid = after(found, bid)
	}
	return one
}

// speak pipes a clip in at the pace of speech, and silence after it until there
// is a bid or none can come. It returns when the first sample was said.
func (b *e2eBench) speak(ctx context.Context, l *listenerChild, samples []float32, bids chan bidAt) (time.Time, error) {
	sound := make([]float32, leadIn, leadIn+len(samples)+int(givenUp.Seconds()*listen.Rate))
	sound = append(sound, samples...)
	spoken := len(sound)
	sound = sound[:cap(sound)]
	start := time.Now()
	for at := 0; at < len(sound); at += block {
		// A block is there when its last sample was said, as from a microphone.
		end := min(at+block, len(sound))
		if err := pause(ctx, time.Until(start.Add(time.Duration(end)*time.Second/listen.Rate))); err != nil {
			return start, err
		}
		if err := l.write(sound[at:end]); err != nil {
			return start, err
		}
		if at < spoken {
			continue
		}
		if len(bids) > 0 || b.over(l, at-spoken) {
			break
		}
	}
	return start, nil
}

// over reports whether the clip was heard to its end and gave no intent.
func (b *e2eBench) over(l *listenerChild, silence int) bool {
	if silence < 2*listen.Rate {
		return false
	}
	events := l.heard()
	_, said := firstOfKind(events, "utterance", nil)
	_, wants := firstOfKind(events, "intent", inMarket)
	return said && !wants
}

// bidAt is when the first bid came, or why asking failed.
type bidAt struct {
	at  time.Time
	err error
}

// ask asks for a bid again and again, and gives the first.
func (b *e2eBench) ask(ctx context.Context, uid string) chan bidAt {
	first := make(chan bidAt, 1)
	request := object{
		"id": string(aloud.NewBidID()), "at": 1, "tmax": 200, "cur": []string{"USD"},
		"imp": []any{object{
			"id": "1", "secure": 1, "bidfloor": 1.0, "bidfloorcur": "USD",
			"banner": object{"w": 300, "h": 250, "format": []any{object{"w": 300, "h": 250}}},
		}},
		"site": object{"domain": "news.example", "page": "https://news.example/weather"},
		"user": object{"buyeruid": uid},
	}
	go func() {
		for {
			request["id"] = string(aloud.NewBidID())
			status, _, err := b.server.call(ctx, http.MethodPost, "/openrtb2/bid", request, nil)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil || status == http.StatusOK:
				at := time.Now()
				if err != nil {
					at = time.Time{}
				}
				first <- bidAt{at: at, err: err}
				return
			}
			if pause(ctx, askEvery) != nil {
				return
			}
		}
	}()
	return first
}
