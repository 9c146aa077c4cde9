package walls

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/tquiclab/tquiclab"

// listed is a package of this module: what the rules look at.
type listed struct {
	Path    string   // within the module: "emulation/relay"; "." is its root
	Name    string   // of the package clause
	Imports []string // direct, of the files that are not tests; ours within the module, as "./emulation"
	Files   []source // not tests, whatever the platform
}

// source is what the rules look at in one file.
type source struct {
	Name   string
	Lines  int
	Doc    bool     // has a package comment
	Init   bool     // declares func init()
	Go     bool     // has a go statement
	Uses   []string // names of imported packages: "os.Getenv"
	Import []string // paths
}

// inspect reads one file.
func inspect(name string, text []byte) (source, error) {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	s := source{Name: name, Lines: bytes.Count(text, []byte{'\n'}), Doc: f.Doc != nil}
	imported := map[string]string{} // the name in this file, the path
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.Import = append(s.Import, p)
		imported[localName(spec, p)] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			s.Init = s.Init || n.Recv == nil && n.Name.Name == "init"
		case *ast.GoStmt:
			s.Go = true
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && imported[x.Name] != "" {
				s.Uses = append(s.Uses, imported[x.Name]+"."+n.Sel.Name)
			}
		}
		return true
	})
	return s, nil
}

// localName is the name that an import has in its file. Without a name of its own
// it is the path's last element, or the one before a major version.
func localName(spec *ast.ImportSpec, p string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	last := path.Base(p)
	if _, err := strconv.Atoi(strings.TrimPrefix(last, "v")); err == nil && strings.HasPrefix(last, "v") {
		last = path.Base(path.Dir(p))
	}
	return last
}

// list reads every package of the module.
func list(t *testing.T) []listed {
	t.Helper()
	root := strings.TrimSpace(goCommand(t, ".", "list", "-m", "-f", "{{.Dir}}"))
	// -e: a file for another platform is no reason to stop.
	out := goCommand(t, root, "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles", "./...")
	var pkgs []listed
	for decoder := json.NewDecoder(strings.NewReader(out)); ; {
		var p struct {
			ImportPath, Name, Dir             string
			GoFiles, CgoFiles, IgnoredGoFiles []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkg := listed{Path: within(p.ImportPath), Name: p.Name}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
			if !strings.HasSuffix(name, "_test.go") {
				pkg.Files = append(pkg.Files, mustInspect(t, filepath.Join(p.Dir, name)))
			}
		}
		pkg.Imports = importsOf(pkg.Files)
		pkgs = append(pkgs, pkg)
	}
}

// importsOf unites the files' imports, in order, once each.
func importsOf(files []source) []string {
	var all []string
	for _, f := range files {
		for _, p := range f.Import {
			if ours(p) {
				p = "./" + within(p)
			}
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func ours(p string) bool { return p == module || strings.HasPrefix(p, module+"/") }

func within(p string) string {
	if p == module {
		return "."
	}
	return strings.TrimPrefix(p, module+"/")
}

func mustInspect(t *testing.T, file string) source {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inspect(filepath.Base(file), text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

func TestInspect(t *testing.T) {
	const text = `// Package p is documented.
package p

import (
	"math/rand/v2"
	env "os"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

func init() { env.Getenv("HOME") }

type t struct{}

func (t) init() { go rand.Int() }

var _ = time.Now
var _ emulation.Rate
`
	got, err := inspect("p.go", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := source{
		Name: "p.go", Lines: 19, Doc: true, Init: true, Go: true,
		Uses:   []string{"os.Getenv", "math/rand/v2.Int", "time.Now", module + "/emulation.Rate"},
		Import: []string{"math/rand/v2", "os", "time", module + "/emulation"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"./emulation", "math/rand/v2", "os", "time"}, importsOf([]source{got, got})); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	method, err := inspect("p.go", []byte("//go:build linux\n\npackage p\ntype t int\nfunc (t) init() {}\n"))
	if err != nil || method.Init || method.Doc {
		t.Errorf("a method called init, a build line: got %+v, %v; want neither init nor doc", method, err)
	}
	if _, err := inspect("p.go", []byte("no go")); err == nil {
		t.Error("what is no Go was read without an error")
	}
}
