//go:build cgo

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"aloud.example/aloud"
)

// newEvalCommand groups the commands that measure how well Aloud hears and
// understands.
func newEvalCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "eval",
		GroupID: "check",
		Short:   "Measure how well Aloud hears and understands",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(newEvalASRCommand(e), newEvalIntentCommand(e))
	return cmd
}

// bar is one figure that has to hold.
type bar struct {
	ID     string  `json:"id"`
	Limit  float64 `json:"limit"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Holds  bool    `json:"holds"`
}

// atMost is a bar that holds while the figure is not over the limit.
func atMost(id string, figure, limit float64, unit string) bar {
	return bar{ID: id, Limit: round(limit), Figure: round(figure), Unit: unit, Holds: figure <= limit}
}

func atLeast(id string, figure, limit float64, unit string) bar {
	return bar{ID: id, Limit: round(limit), Figure: round(figure), Unit: unit, Holds: figure >= limit}
}

// round keeps four decimals, so that a figure reads well.
func round(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 4, 64), 64)
	return r
}

// measured is what every measuring command reports with --json.
type measured struct {
	Machine string  `json:"machine"`
	Client  string  `json:"client"`
	Dataset string  `json:"dataset"`
	RSSMB   float64 `json:"rss_mb"`
	Bars    []bar   `json:"bars"`
}

// verdict ends a measuring command: status 0 only if all bars hold.
func verdict(bars []bar) error {
	for _, b := range bars {
		if !b.Holds {
			return &exitError{status: 1}
		}
	}
	return nil
}

func printBars(w io.Writer, bars []bar) {
	fmt.Fprintf(w, "\n%-28s %10s %10s  %s\n", "bar", "figure", "limit", "")
	for _, b := range bars {
		state := "holds"
		if !b.Holds {
			state = "MISSED"
		}
		fmt.Fprintf(w, "%-28s %10.4g %10.4g  %-6s %s\n", b.ID, b.Figure, b.Limit, b.Unit, state)
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "writing the result: %w", err)
	}
	return nil
}

// machine describes the computer: processor, cores and system.
func machine() string {
	name := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", name, runtime.NumCPU(), runtime.GOOS)
}

// processCPU is the processor time this process has used: unlike the clock on
// the wall, other processes don't stretch it.
func processCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB is the memory this process holds now.
func residentMB() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[1], 64)
	return round(pages * float64(os.Getpagesize()) / 1e6)
}
