package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// deaf lists what a server build must not link: what hears, what understands,
// what keeps a device's signals, and the libraries under them.
var deaf = []string{
	"aloud.example/aloud/listen", "aloud.example/aloud/intent", "aloud.example/aloud/signal/outbox", "aloud.example/aloud/signal/uplink",
	"github.com/yalue/onnxruntime_go", "github.com/gen2brain/malgo", "github.com/k2-fsa", "github.com/go-audio", "github.com/mewkiz/flac",
	"github.com/hajimehoshi/go-mp3", "github.com/jfreymuth", "runtime/cgo",
}

// TestServerBuildHasNoEars asks the compiler what a server is made of.
func TestServerBuildHasNoEars(t *testing.T) {
	for _, c := range []struct {
		cgo   string
		wants bool // a build that has them shows that this test can fail
	}{{"0", false}, {"1", true}} {
		cmd := exec.Command("go", "list", "-deps", ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+c.cgo)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		found := false
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			for _, ear := range deaf {
				if dep == ear || strings.HasPrefix(dep, ear+"/") {
					found = true
					if !c.wants {
						t.Errorf("a server built with CGO_ENABLED=0 links %s", dep)
					}
				}
			}
		}
		if found != c.wants {
			t.Errorf("CGO_ENABLED=%s: something that hears is linked: %v, want %v", c.cgo, found, c.wants)
		}
	}
}
