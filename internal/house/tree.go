package house

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// File is one Go source file.
type File struct {
	Path    string // slash-separated, from the root of the tree
	Package string // its package's path from the root; "." is the root package
	Test    bool
	Doc     string   // the package doc it carries, or ""
	Imports []Import // in the order they stand
	Funcs   []Func
	Lines   int
	Text    string
	Wrote   bool // written by a generator, as its first lines say
}

// Import is one import of a file. Own is the path from the root where the
// imported package is this module's, else "".
type Import struct {
	Path string
	Own  string
	Line int
}

// Func is a function declared at the top of a file; methods are left out.
type Func struct {
	Name string
	Line int
}

// Tree is all Go files of a module, whatever their build tags, and the texts
// beside them.
type Tree struct {
	Root   string
	Module string
	Files  []File
	Texts  []Text
}

// Text is a file that is no Go source: documents, scripts, configuration.
type Text struct {
	Path string
	Text string
}

// Load reads the module at root. Folders named testdata, vendor, node_modules,
// assets and bin and those that begin with a dot or underscore hold no packages;
// .ci holds a text.
func Load(root, module string) (Tree, error) {
	t := Tree{Root: root, Module: module}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && d.Name() != ".ci" && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") ||
				slices.Contains([]string{"testdata", "vendor", "node_modules", "assets", "bin"}, d.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		if isText(name) {
			text, err := os.ReadFile(name)
			rel, err2 := filepath.Rel(root, name)
			t.Texts = append(t.Texts, Text{Path: filepath.ToSlash(rel), Text: string(text)})
			return errors.Join(err, err2)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := t.read(name)
		t.Files = append(t.Files, f)
		return err
	})
	return t, err
}

func isText(name string) bool {
	return slices.Contains([]string{".md", ".sh", ".mjs", ".json", ".sql", ".mod"}, filepath.Ext(name)) ||
		slices.Contains([]string{"Makefile", "NOTICE", "run"}, filepath.Base(name))
}

func (t Tree) read(name string) (File, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return File{}, err
	}
	rel, err := filepath.Rel(t.Root, name)
	if err != nil {
		return File{}, err
	}
	f := File{
		Path: filepath.ToSlash(rel), Test: strings.HasSuffix(name, "_test.go"),
		Text: string(text), Lines: strings.Count(string(text), "\n"),
	}
	f.Package = path.Dir(f.Path)
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return File{}, err
	}
	f.Doc, f.Wrote = syntax.Doc.Text(), ast.IsGenerated(syntax)
	for _, spec := range syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, err
		}
		f.Imports = append(f.Imports, Import{Path: p, Own: t.own(p), Line: set.Position(spec.Pos()).Line})
	}
	for _, decl := range syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
			f.Funcs = append(f.Funcs, Func{Name: fn.Name.Name, Line: set.Position(fn.Pos()).Line})
		}
	}
	return f, nil
}

// own returns the path from the root of an imported package of this module.
func (t Tree) own(p string) string {
	if p == t.Module {
		return "."
	}
	rel, ok := strings.CutPrefix(p, t.Module+"/")
	if !ok {
		return ""
	}
	return rel
}

// under reports whether a package is the room or lies inside it.
func under(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

// room returns the first of rooms that pkg is in, or "".
func room(pkg string, rooms []string) string {
	for _, r := range rooms {
		if under(pkg, r) {
			return r
		}
	}
	return ""
}
