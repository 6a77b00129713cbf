package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"aloud.example/aloud/internal/house"
)

const (
	root   = "../.."
	module = "aloud.example/aloud"
)

// TestHouse applies every rule to this repository.
func TestHouse(t *testing.T) {
	tree, err := house.Load(root, module)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) < 20 {
		t.Fatalf("only %d files found under %s: is this the repository?", len(tree.Files), root)
	}
	for _, rule := range house.Rules() {
		t.Run(strings.ReplaceAll(rule.Name, " ", "_"), func(t *testing.T) {
			if rule.Reason == "" {
				t.Error("a rule must say its reason")
			}
			for _, place := range rule.Broken(tree) {
				t.Errorf("%s\n\t(%s)", place, rule.Reason)
			}
		})
	}
}

// TestRulesCanFail applies every rule to a house in which each is broken: the
// archive's comment says, rule by rule, what has to be found there, and nothing
// else may be.
func TestRulesCanFail(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]string{}
	for line := range strings.Lines(string(archive.Comment)) {
		if rule, place, ok := strings.Cut(strings.TrimSpace(line), " <- "); ok {
			want[rule] = append(want[rule], place)
		}
	}
	tree, err := house.Load(dir, module)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range house.Rules() {
		t.Run(strings.ReplaceAll(rule.Name, " ", "_"), func(t *testing.T) {
			if len(want[rule.Name]) == 0 {
				t.Error("testdata/broken.txtar doesn't break this rule")
			}
			found := rule.Broken(tree)
			if got, want := strings.Join(found, "\n"), strings.Join(want[rule.Name], "\n"); got != want {
				t.Errorf("found\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestServerBuildHasNoEars asks the go command what a server build links.
func TestServerBuildHasNoEars(t *testing.T) {
	deps := list(t, []string{"CGO_ENABLED=0"}, "./cmd/aloud")
	ears := regexp.MustCompile(`^` + regexp.QuoteMeta(module) + `/(listen|intent|signal/outbox)(/|$)|/malgo(/|$)|/onnxruntime_go|/go-mp3|/oggvorbis|/mewkiz/flac`)
	for _, dep := range deps {
		if ears.MatchString(dep) {
			t.Errorf("the server build links %s (run: CGO_ENABLED=0 go list -deps ./cmd/aloud)", dep)
		}
	}
	// The same question about the whole binary must find them: else it asks wrongly.
	full := list(t, []string{"CGO_ENABLED=1"}, "./cmd/aloud")
	if !anyMatch(full, ears) {
		t.Error("the device build links no ears either: the pattern is out of date")
	}
}

// TestBrowserRooms compiles for WebAssembly what the browser is to share.
func TestBrowserRooms(t *testing.T) {
	rooms := []string{"./category", "./consent", "./intent", "./signal", "./proof"}
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false"}, rooms...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("GOOS=js GOARCH=wasm go build %s: %v\n%s", strings.Join(rooms, " "), err, out)
	}
}

func list(t *testing.T, env []string, packages ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps"}, packages...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	return strings.Fields(string(out))
}

func anyMatch(lines []string, re *regexp.Regexp) bool {
	for _, l := range lines {
		if re.MatchString(l) {
			return true
		}
	}
	return false
}
