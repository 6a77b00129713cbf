//go:build cgo

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// childEvent is an event of a listener, with the time at which it was read.
type childEvent struct {
	Type  string  `json:"type"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Stage string  `json:"stage"`
	State string  `json:"state"`
	RTF   float64 `json:"rtf"`
	at    time.Time
}

// listenerChild is an `aloud listen - --json` in a process of its own.
type listenerChild struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	said  strings.Builder // its complaints
	ready chan struct{}
	ended chan struct{} // it wrote its last event

	mu     sync.Mutex
	events []childEvent
	count  int
}

// startListener starts a listener, and returns when it hears. Unless keep, only
// its events' number is kept.
func startListener(ctx context.Context, home, model string, keep bool) (*listenerChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "find this program's own file: %w", err)
	}
	l := &listenerChild{ready: make(chan struct{}), ended: make(chan struct{})}
	l.cmd = exec.CommandContext(ctx, self, "listen", "-", "--json", "--home", home, "--model", model)
	l.cmd.Args[0] = "aloud"
	l.cmd.Stderr = &l.said
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "pipe into the listener: %w", err)
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "read from the listener: %w", err)
	}
	if err := l.cmd.Start(); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "start the listener: %w", err)
	}
	go l.read(out, keep)
	select {
	case <-l.ready:
		return l, nil
	case <-l.ended:
	case <-time.After(time.Minute):
		_ = l.cmd.Process.Kill() // it is ours, and says nothing
		<-l.ended
	}
	_ = l.cmd.Wait() // what it said says more
	return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the listener does not start: %s", strings.TrimSpace(l.said.String()))
}

func (l *listenerChild) read(out io.Reader, keep bool) {
	defer close(l.ended)
	lines := bufio.NewScanner(out)
	started := false
	for lines.Scan() {
		var ev childEvent
		if json.Unmarshal(lines.Bytes(), &ev) != nil {
			continue
		}
		ev.at = time.Now()
		l.mu.Lock()
		l.count++
		if keep || ev.Type == "summary" {
			l.events = append(l.events, ev)
		}
		l.mu.Unlock()
		if ev.Type == "ready" && !started {
			started = true
			close(l.ready)
		}
	}
}

func (l *listenerChild) heard() []childEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]childEvent(nil), l.events...)
}

// write pipes samples in as 16-bit PCM.
func (l *listenerChild) write(samples []float32) error {
	b := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(max(-1, min(1, v))*32767)))
	}
	if _, err := l.in.Write(b); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the listener ended early: %s", strings.TrimSpace(l.said.String()))
	}
	return nil
}

// finish ends the sound and waits for the listener's end.
func (l *listenerChild) finish() error {
	_ = l.in.Close() // it may have ended already: Wait tells
	<-l.ended
	if err := l.cmd.Wait(); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the listener failed (%w): %s", err, strings.TrimSpace(l.said.String()))
	}
	return nil
}

// residentMB is the memory that the listener's process holds now.
func (l *listenerChild) residentMB() float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(l.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()) / 1e6
}

// soakReport is how a listener's memory went.
type soakReport struct {
	AudioSeconds float64 `json:"audio_seconds"`
	WallSeconds  float64 `json:"wall_seconds"`
	RTF          float64 `json:"rtf"`
	Events       int     `json:"events"`
	HalfMB       float64 `json:"rss_half_mb"` // the mean of a twentieth of the sound, at its half
	EndMB        float64 `json:"rss_end_mb"`  // and at its end
	PeakMB       float64 `json:"rss_peak_mb"`
}

// soak lets one listener hear the manifest's clips over and over, as fast as it
// can, and watches its memory.
func (b *e2eBench) soak(ctx context.Context) (soakReport, error) {
	clips, err := benchClips(ctx, b.o.soakManifest)
	if err != nil {
		return soakReport{}, err
	}
	home, _, err := b.enrol(ctx, "soak")
	if err != nil {
		return soakReport{}, err
	}
	l, err := startListener(ctx, home, b.o.model, false)
	if err != nil {
		return soakReport{}, err
	}
	var r soakReport
	var half, end []float64
	start := time.Now()
	total, fed := int(b.o.soak.Seconds())*listen.Rate, 0
	gap := make([]float32, listen.Rate) // a second between clips
	for i := 0; fed < total; i++ {
		for _, part := range [][]float32{clips[i%len(clips)].samples, gap} {
			part = part[:min(len(part), total-fed)]
			if err := l.write(part); err != nil {
				_ = l.finish() // the first error says why
				return r, err
			}
			fed += len(part)
		}
		mb, share := l.residentMB(), float64(fed)/float64(total)
		r.PeakMB = max(r.PeakMB, mb)
		switch {
		case share >= 0.475 && share <= 0.525:
			half = append(half, mb)
		case share >= 0.95:
			end = append(end, mb)
		}
		if i%20 == 0 {
			_, _ = io.WriteString(b.progress, "\r\x1b[K"+clock(float64(fed)/listen.Rate)+" of "+clock(b.o.soak.Seconds())+" heard, "+strconv.Itoa(int(mb))+" MB")
		}
	}
	_, _ = io.WriteString(b.progress, "\n")
	if err := l.finish(); err != nil {
		return r, err
	}
	r.AudioSeconds, r.WallSeconds = b.o.soak.Seconds(), seconds(time.Since(start).Seconds())
	r.HalfMB, r.EndMB, r.PeakMB = round(mean(half)), round(mean(end)), round(r.PeakMB)
	r.Events = l.count
	if last, ok := firstOfKind(l.heard(), "summary", nil); ok {
		r.RTF = last.RTF
	}
	return r, nil
}

func mean(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
