package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// stages stand in the order of the flow. A package inside a stage's folder
// belongs to it, unless it is an adapter.
var stages = []string{
	"consent", "listen", "intent", "signal",
	"collector", "identity", "profile", "audience", "campaign", "bid", "export", "report", "payout",
	"erasure", "access", "ledger", "proof",
}

// adapters speak to something outside: models, a microphone, a log on disk, a
// wire, a database.
var adapters = []string{"listen/onnx", "listen/mic", "ledger/tiles", "bid/openrtb", "stream", "store", "server", "web"}

// deviceOnly rooms hear and understand, or keep what waits to be sent. The
// first two, and the microphone, are what a server must never hold.
var deviceOnly = []string{"listen", "intent", "signal/outbox", "signal/uplink"}

// shared rooms are linked by both sides.
var shared = []string{".", "category", "consent", "signal", "proof"}

// confined are modules that only the rooms named may import.
var confined = []struct {
	module, why string
	rooms       []string
}{
	{"github.com/gen2brain/malgo", "one door to the microphone, and it demands a session", []string{"listen/mic"}},
	{"github.com/yalue/onnxruntime_go", "one place where cgo meets the models", []string{"listen/onnx"}},
	{"github.com/nats-io", "the stream is behind one adapter, so that one machine and a cluster are one code path", []string{"stream"}},
	{"github.com/transparency-dev/tessera", "proof and ledger stay pure; only the adapter writes tiles", []string{"ledger/tiles"}},
	{"github.com/prebid", "auction types stay on the wire; bid itself knows none", []string{"bid/openrtb"}},
	{"github.com/danielgtaylor/huma", "a stage never knows how it is called", []string{"server"}},
	{"github.com/spf13", "flags and environment are read in cmd alone", []string{"cmd"}},
}

// maxLines is where a file is asked why it is so long.
const maxLines = 800

// Rule is something that holds everywhere in the house.
type Rule struct {
	Name   string
	Reason string
	broken func(Tree) []string
}

// Broken returns the places where the rule is broken, as "file:line: what".
func (r Rule) Broken(t Tree) []string { return r.broken(t) }

// Rules is the table.
func Rules() []Rule {
	return []Rule{
		{"stage order", "imports point to earlier stages, so that the story reads one way and a later stage can be taken away", stageOrder},
		{"no stage imports an adapter", "a stage can be tested, and moved to the browser, without a database, a network or a model", stageAdapter},
		{"adapters import no other adapter", "each can be replaced alone; they meet in cmd", adapterAdapter},
		{"the device knows no server", "what hears must not be able to reach a store or a stream", deviceServer},
		{"the server has no ears", "no build of the server may hold a way from audio or text into it (invariant 1)", serverDevice},
		{"intent is self-contained", "it runs in a browser and on small devices: standard library, the root package and category", intentImports},
		{"the root imports nothing of its own", "everybody imports the root; category imports only it", rootImports},
		{"only cmd wires", "nothing imports a command, and nothing of the story imports internal", wiring},
		{"each module in its place", "a foreign library is met in one room, not all over the house", confinement},
		{"cgo in two places", "the server builds with CGO_ENABLED=0; only the microphone and the models need C", cgo},
		{"a doc for each package", "each folder opens with what comes in, what goes out and what it never does", packageDocs},
		{"no init functions", "wiring is written down in cmd, not hidden in an import", noInit},
		{"no drawers", "files and folders are named after nouns of the story", drawers},
		{"files of a readable length", fmt.Sprintf("over %d lines a file holds more than one thing", maxLines), fileLength},
		{"fuzzers have seeds", "a fuzz test without a seed corpus tests nothing in an ordinary run", fuzzSeeds},
		{"no machine's names", "the repository builds anywhere: no path of one machine, no address of one registry", machineNames},
		{"links lead somewhere", "a reader who follows a link in a document finds a file", links},
		{"nothing unfinished", "what isn't done goes into an issue, not into a comment", unfinished},
	}
}

// imports calls found for each import of the module's own packages in files
// that are not tests.
func imports(t Tree, found func(f File, to string) string) (broken []string) {
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		for _, i := range f.Imports {
			if i.Own == "" {
				continue
			}
			if what := found(f, i.Own); what != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %s", f.Path, i.Line, what))
			}
		}
	}
	return broken
}

func stageOrder(t Tree) []string {
	return imports(t, func(f File, to string) string {
		from, target := room(f.Package, stages), room(to, stages)
		if from == "" || target == "" || room(to, adapters) != "" {
			return ""
		}
		if slices.Index(stages, target) > slices.Index(stages, from) {
			return fmt.Sprintf("%s imports %s, a later stage", f.Package, to)
		}
		return ""
	})
}

func stageAdapter(t Tree) []string {
	return imports(t, func(f File, to string) string {
		if room(f.Package, stages) != "" && room(f.Package, adapters) == "" && room(to, adapters) != "" {
			return fmt.Sprintf("the stage %s imports the adapter %s", f.Package, to)
		}
		return ""
	})
}

func adapterAdapter(t Tree) []string {
	return imports(t, func(f File, to string) string {
		from, target := room(f.Package, adapters), room(to, adapters)
		if from != "" && target != "" && from != target {
			return fmt.Sprintf("the adapter %s imports the adapter %s", f.Package, to)
		}
		return ""
	})
}

func deviceServer(t Tree) []string {
	return imports(t, func(f File, to string) string {
		if (room(f.Package, deviceOnly) != "" || under(f.Package, "consent")) && isServer(to) {
			return fmt.Sprintf("%s, on the device, imports %s, on the server", f.Package, to)
		}
		return ""
	})
}

func serverDevice(t Tree) []string {
	return imports(t, func(f File, to string) string {
		if isServer(f.Package) && room(to, deviceOnly) != "" {
			return fmt.Sprintf("%s, on the server, imports %s, on the device", f.Package, to)
		}
		return ""
	})
}

// isServer reports whether a package is neither the device's nor shared.
func isServer(pkg string) bool {
	return (room(pkg, stages) != "" || room(pkg, adapters) != "") && room(pkg, deviceOnly) == "" && room(pkg, shared) == ""
}

func intentImports(t Tree) (broken []string) {
	for _, f := range t.Files {
		if f.Test || !under(f.Package, "intent") {
			continue
		}
		for _, i := range f.Imports {
			standard := !strings.Contains(strings.SplitN(i.Path, "/", 2)[0], ".")
			if standard && i.Path != "C" || i.Own == "." || i.Own == "category" || under(i.Own, "intent") {
				continue
			}
			broken = append(broken, fmt.Sprintf("%s:%d: imports %s", f.Path, i.Line, i.Path))
		}
	}
	return broken
}

func rootImports(t Tree) []string {
	return imports(t, func(f File, to string) string {
		if f.Package == "." || under(f.Package, "category") && to != "." {
			return fmt.Sprintf("%s imports %s", f.Package, to)
		}
		return ""
	})
}

func wiring(t Tree) []string {
	return imports(t, func(f File, to string) string {
		if under(to, "cmd") && !under(f.Package, "cmd") || under(to, "internal") && !under(f.Package, "internal") {
			return fmt.Sprintf("%s imports %s", f.Package, to)
		}
		return ""
	})
}

func confinement(t Tree) (broken []string) {
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		for _, i := range f.Imports {
			for _, c := range confined {
				if under(i.Path, c.module) && room(f.Package, c.rooms) == "" {
					broken = append(broken, fmt.Sprintf("%s:%d: imports %s, which is for %s: %s", f.Path, i.Line, i.Path, strings.Join(c.rooms, ", "), c.why))
				}
			}
		}
	}
	return broken
}

func cgo(t Tree) (broken []string) {
	for _, f := range t.Files {
		for _, i := range f.Imports {
			if i.Path == "C" && room(f.Package, []string{"listen/onnx", "listen/mic"}) == "" {
				broken = append(broken, fmt.Sprintf("%s:%d: uses cgo", f.Path, i.Line))
			}
		}
	}
	return broken
}

func packageDocs(t Tree) (broken []string) {
	docs := map[string][]string{}
	var order []string
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		if _, seen := docs[f.Package]; !seen {
			order = append(order, f.Package)
			docs[f.Package] = nil
		}
		if f.Doc != "" {
			docs[f.Package] = append(docs[f.Package], f.Doc)
		}
	}
	for _, pkg := range order {
		switch d := docs[pkg]; {
		case len(d) == 0:
			broken = append(broken, fmt.Sprintf("%s: no file has a package doc", pkg))
		case len(d) > 1:
			broken = append(broken, fmt.Sprintf("%s: %d files have a package doc; one says it all", pkg, len(d)))
		case !strings.HasPrefix(d[0], "Package ") && !strings.HasPrefix(d[0], "Command "):
			broken = append(broken, fmt.Sprintf(`%s: its doc begins neither with "Package" nor "Command"`, pkg))
		case len(strings.Fields(d[0])) < 12:
			broken = append(broken, fmt.Sprintf("%s: its doc says too little", pkg))
		}
	}
	return broken
}

func noInit(t Tree) (broken []string) {
	for _, f := range t.Files {
		for _, fn := range f.Funcs {
			if fn.Name == "init" {
				broken = append(broken, fmt.Sprintf("%s:%d: func init", f.Path, fn.Line))
			}
		}
	}
	return broken
}

var drawer = regexp.MustCompile(`(^|/)(utils?|helpers?|types|services?|managers?|common|misc|base)(_test)?(\.go|/)`)

func drawers(t Tree) (broken []string) {
	for _, f := range t.Files {
		if drawer.MatchString(f.Path) {
			broken = append(broken, f.Path+": a drawer, not a noun")
		}
	}
	return broken
}

func fileLength(t Tree) (broken []string) {
	for _, f := range t.Files {
		if f.Lines > maxLines && !f.Wrote && !f.Test {
			broken = append(broken, fmt.Sprintf("%s: %d lines", f.Path, f.Lines))
		}
	}
	return broken
}

func fuzzSeeds(t Tree) (broken []string) {
	for _, f := range t.Files {
		for _, fn := range f.Funcs {
			if !f.Test || !strings.HasPrefix(fn.Name, "Fuzz") {
				continue
			}
			dir := filepath.Join(t.Root, filepath.FromSlash(f.Package), "testdata", "fuzz", fn.Name)
			if seeds, err := os.ReadDir(dir); err != nil || len(seeds) == 0 {
				broken = append(broken, fmt.Sprintf("%s:%d: testdata/fuzz/%s holds no seed", f.Path, fn.Line, fn.Name))
			}
		}
	}
	return broken
}

// The words are put together so that this file doesn't break its own rule.
var unfinishedWord = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|not (yet )?impl` + `emented`)

func unfinished(t Tree) (broken []string) {
	for _, f := range t.Files {
		for n, line := range strings.Split(f.Text, "\n") {
			if word := unfinishedWord.FindString(line); word != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %s", f.Path, n+1, word))
			}
		}
	}
	return broken
}

// Put together for the same reason.
var machineName = regexp.MustCompile(`(^|[^\w.~-])/(wo` + `rk|ro` + `ot|home/\w+)/|https?://(regi` + `stry|pro` + `xy|d` + `eb|s` + `um)\.`)

func machineNames(t Tree) (broken []string) {
	look := func(path, text string) {
		for n, line := range strings.Split(text, "\n") {
			if name := machineName.FindString(line); name != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %s", path, n+1, strings.TrimSpace(name)))
			}
		}
	}
	for _, f := range t.Files {
		look(f.Path, f.Text)
	}
	for _, f := range t.Texts {
		look(f.Path, f.Text)
	}
	return broken
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)

func links(t Tree) (broken []string) {
	for _, f := range t.Texts {
		if !strings.HasSuffix(f.Path, ".md") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(f.Text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(t.Root, filepath.Dir(filepath.FromSlash(f.Path)), filepath.FromSlash(m[1]))); err != nil {
				broken = append(broken, fmt.Sprintf("%s: links to %s, which isn't there", f.Path, m[1]))
			}
		}
	}
	return broken
}
