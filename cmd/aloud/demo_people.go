//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/uplink"
)

// demoClip is one line of clips.jsonl.
type demoClip struct {
	Audio       string `json:"audio"`
	Participant int    `json:"participant"`
	Voice       string `json:"voice"`
	Expected    string `json:"expected"` // category/stage, "suppressed" or "none"
	Text        string `json:"text"`     // what was synthesised; the listener never sees it
}

// buys reports whether the clip speaks of a purchase.
func (c demoClip) buys() bool { return strings.Contains(c.Expected, "/") }

// readDemoClips reads clips.jsonl and checks that the clips are there.
func readDemoClips(dir string) ([]demoClip, error) {
	data, err := os.ReadFile(filepath.Join(dir, "clips.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there are no clips in %q: run this in the repository's folder, or name theirs by --clips DIR", dir)
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "read the clips: %w", bare(err))
	}
	var clips []demoClip
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		var c demoClip
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil || c.Audio == "" || c.Participant < 1 || c.Participant > 1000 || filepath.Base(c.Audio) != c.Audio {
			return nil, aloud.Errorf(aloud.EINVALID, "line %d of clips.jsonl does not name a clip and its participant", n)
		}
		c.Audio = filepath.Join(dir, c.Audio)
		clips = append(clips, c)
	}
	if len(clips) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "clips.jsonl is empty")
	}
	return clips, lines.Err()
}

// person is a synthetic participant and their device.
type person struct {
	number   int
	clips    []demoClip
	home     home
	lat, lon float64
	away     bool // lives outside the advertiser's territory

	buyerUID string
	accepted int // signals that the server took
}

func (p *person) String() string { return fmt.Sprintf("person %d", p.number) }

// The advertiser's territory, and where people live: most of them within 13
// miles of its centre, every 20th 40 miles away.
const (
	centreLat, centreLon = 39.9612, -82.9988
	centreName           = "Columbus, Ohio"
	territoryMiles       = 20
	milesPerDegree       = 69.17
)

// cast gives each participant of the clips a home and a place.
func cast(dir string, clips []demoClip) []*person {
	byNumber := map[int]*person{}
	var people []*person
	for _, c := range clips {
		p := byNumber[c.Participant]
		if p == nil {
			p = &person{number: c.Participant, home: home{dir: filepath.Join(dir, "devices", fmt.Sprintf("%02d", c.Participant))}}
			byNumber[c.Participant] = p
			people = append(people, p)
		}
		p.clips = append(p.clips, c)
	}
	slices.SortFunc(people, func(a, b *person) int { return a.number - b.number })
	for i, p := range people {
		p.away = p.number%20 == 0 && p.clips[0].buys()
		miles := 13 * math.Sqrt(float64(i)/float64(len(people)))
		if p.away {
			miles = 40
		}
		angle := float64(i) * math.Pi * (3 - math.Sqrt(5)) // the sunflower's: no two in one place
		p.lat = centreLat + miles*math.Cos(angle)/milesPerDegree
		p.lon = centreLon + miles*math.Sin(angle)/milesPerDegree/math.Cos(centreLat*math.Pi/180)
	}
	return people
}

// enrolAll is the chapter in which each person agrees, by the same command that
// a person would run.
func (d *demo) enrolAll(ctx context.Context, f facts) error {
	client, err := uplink.New(uplink.Config{URL: d.server.url})
	if err != nil {
		return err
	}
	notice, err := client.Notice(ctx)
	if err != nil {
		return err
	}
	if !notice.Simulated {
		return notHeld("the server's notice says that it is simulated")
	}
	hash := notice.Hash()
	d.story.say("Each device makes its own key and shows the notice (version %s, %d words, SHA-256 %x…). Each purpose is asked by itself; none is pre-ticked:", notice.Version, len(strings.Fields(notice.Full())), hash[:4])
	purposes := make([]string, 0, 5)
	for _, p := range consent.AllPurposes() {
		purposes = append(purposes, string(p))
	}
	start := d.e.now()
	for _, p := range d.people {
		err := d.quietly(ctx, "enrol", "--home", p.home.dir, "--server", d.server.url, "--grant", strings.Join(purposes, ","),
			"--adult", "--yes-i-read-the-notice", hex.EncodeToString(hash[:8]), fmt.Sprintf("--place=%.4f,%.4f", p.lat, p.lon))
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		srv, err := p.home.server()
		if err != nil {
			return err
		}
		p.buyerUID = srv.BuyerUID
	}
	took := d.e.now().Sub(start)
	for _, p := range d.people {
		if _, _, err := p.home.receipt(); err != nil { // by the pinned key
			return fmt.Errorf("%s: %w", p, err)
		}
		if p.buyerUID == "" {
			return notHeld("%s agreed to personalised ads and was issued an identifier for exchanges", p)
		}
	}
	_, r, err := d.people[0].home.receipt()
	if err != nil {
		return err
	}
	cell, err := d.people[0].home.cell()
	if err != nil {
		return err
	}
	for _, line := range wrap(strings.Join(purposes, ", "), storyWidth-storyMargin-2) {
		d.story.row("  %s", line)
	}
	d.story.say("Person 1 is %s, lives in S2 cell %s, and may end this by: aloud withdraw", r.Participant, cell)
	d.story.held("%d receipts, each signed by its device and countersigned (%.0f ms each)", len(d.people), took.Seconds()*1000/float64(len(d.people)))
	f["people"], f["seconds_each"] = len(d.people), took.Seconds()/float64(len(d.people))
	return nil
}
