package walls

import (
	"cmp"
	"flag"
	"fmt"
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
	"testing"
	"testing/fstest"

	gocmp "github.com/google/go-cmp/cmp"
)

// cited is a citation and where it stands.
type cited struct {
	citation
	File  string   // within the tree
	Tests []string // test files only: the tests that it is above or inside: "proto.TestClose"
}

func (c cited) place() string { return fmt.Sprintf("%s:%d", c.File, c.Line) }

// specified is what a tree of packages says about specifications.
type specified struct {
	musts []cited // of its code
	tests []cited // of its tests
}

// readSpecified reads every Go file of a tree.
func readSpecified(tree fs.FS) (specified, error) {
	var out specified
	fset := token.NewFileSet()
	dirs := map[string][]*ast.File{} // the test files of each folder
	var inTests []cited
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		test := strings.HasSuffix(name, "_test.go")
		if test {
			dirs[path.Dir(name)] = append(dirs[path.Dir(name)], f)
		}
		for _, c := range citations(fset, f) {
			if test {
				inTests = append(inTests, cited{citation: c, File: name})
			} else {
				out.musts = append(out.musts, cited{citation: c, File: name})
			}
		}
		return nil
	})
	if err != nil {
		return specified{}, err
	}
	for _, c := range inTests {
		dir := path.Dir(c.File)
		for _, test := range testsThatUse(dirs[dir], c.Decl) {
			c.Tests = append(c.Tests, path.Base(dir)+"."+test)
		}
		out.tests = append(out.tests, c)
	}
	return out, nil
}

// testsThatUse returns the tests and fuzz targets of a package that are name, or that
// refer to it, maybe by way of others.
func testsThatUse(files []*ast.File, name string) (tests []string) {
	refers := map[string][]string{} // a declaration, what refers to it
	for _, f := range files {
		for _, d := range f.Decls {
			for _, from := range declared(d) {
				ast.Inspect(d, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						refers[id.Name] = append(refers[id.Name], from)
					}
					return true
				})
			}
		}
	}
	seen := map[string]bool{"": true}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		switch {
		case seen[at]:
		case strings.HasPrefix(at, "Test") || strings.HasPrefix(at, "Fuzz"):
			tests = append(tests, at)
		default:
			todo = append(todo, refers[at]...)
		}
		seen[at] = true
	}
	slices.Sort(tests)
	return tests
}

// declared returns the names of a top-level declaration.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if _, name := about(s); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// byTest returns the tests of each section.
func (s specified) byTest() map[section][]string {
	out := map[section][]string{}
	for _, c := range s.tests {
		for _, place := range c.Sections {
			out[place] = append(out[place], c.Tests...)
		}
	}
	for place, tests := range out {
		slices.Sort(tests)
		out[place] = slices.Compact(tests)
	}
	return out
}

// untested returns a line for every MUST of the code that says no section, or one that
// no test cites with a MUST.
func (s specified) untested() (out []string) {
	tests := s.byTest()
	for _, c := range s.musts {
		if len(c.Sections) == 0 {
			out = append(out, c.place()+": cites no section for: "+c.Text)
		}
		for _, place := range c.Sections {
			if place.Doc == "" {
				out = append(out, c.place()+": names no document for section "+place.Number)
			} else if len(tests[place]) == 0 {
				out = append(out, fmt.Sprintf("%s: no test cites %s with a MUST, for: %s", c.place(), place, c.Text))
			}
		}
	}
	for _, c := range s.tests {
		if len(c.Sections) == 0 {
			out = append(out, c.place()+": cites no section for: "+c.Text)
		}
		if len(c.Tests) == 0 {
			out = append(out, c.place()+": belongs to no test: "+c.Text)
		}
	}
	return out
}

// tableHead is what docs/MUSTS.md begins with.
const tableHead = `# Requirements and their tests

Every requirement of a specification that the engine's code cites with a MUST, and the tests that cite the same section with one. The
text is that of the code's comment. Where tests of the same package cite the section, only they are listed.

    go test ./cmd/internal/walls -run TestMusts            # fails when a MUST has no test, or when this file is out of date
    go test ./cmd/internal/walls -run TestMusts -update    # writes it

A section can have several requirements: the machine sees that its tests are there, a reader that they are of each.
`

// table writes docs/MUSTS.md: a line for each requirement.
func (s specified) table() string {
	type row struct {
		section
		cited
	}
	var rows []row
	for _, c := range s.musts {
		for _, place := range c.Sections {
			rows = append(rows, row{place, c})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return compareSections(a.section, b.section) })
	// A sentence with two MUSTs is one line.
	rows = slices.CompactFunc(rows, func(a, b row) bool { return a.section == b.section && a.File == b.File && a.Text == b.Text })
	tests := s.byTest()
	var b strings.Builder
	b.WriteString(tableHead)
	for i, r := range rows {
		if i == 0 || r.Doc != rows[i-1].Doc {
			fmt.Fprintf(&b, "\n## %s\n\n| section | requirement | obeyed in | tests |\n| --- | --- | --- | --- |\n", r.Doc)
		}
		at := strings.TrimPrefix(r.File, "internal/")
		fmt.Fprintf(&b, "| %s | %s | `%s` %s | %s |\n", r.Number, strings.ReplaceAll(r.Text, "|", "\\|"), at, r.Decl,
			strings.Join(nearest(tests[r.section], path.Base(path.Dir(r.File))), ", "))
	}
	return b.String()
}

// nearest returns the tests of a package, or all when it has none of them.
func nearest(tests []string, pkg string) []string {
	own := slices.DeleteFunc(slices.Clone(tests), func(t string) bool { return !strings.HasPrefix(t, pkg+".") })
	if len(own) > 0 {
		return own
	}
	return tests
}

// compareSections orders documents by name, sections by their numbers.
func compareSections(a, b section) int {
	if c := cmp.Compare(a.Doc, b.Doc); c != 0 {
		return c
	}
	numbers := func(s section) (out []int) {
		for _, part := range strings.Split(s.Number, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				n = 1000 + int(part[0]) // appendices come last
			}
			out = append(out, n)
		}
		return out
	}
	return slices.Compare(numbers(a), numbers(b))
}

func TestMustsCatch(t *testing.T) {
	const code = "package x\n\n// RFC 9000, section 8.1: f MUST be.\nfunc f() {}\n"
	tests := []struct {
		name, code, test string
		want             []string
	}{
		{"above a test", code, "// RFC 9000, section 8.1: MUST.\nfunc TestF(t *T) {}", nil},
		{"inside a fuzz target", code, "func FuzzF(f *F) {\n\tg() // RFC 9000, section 8.1: MUST\n}", nil},
		{"in a table that a test uses", code, "var cases = []int{\n\t// RFC 9000, section 8.1: MUST.\n\t1,\n}\n\nfunc TestF(t *T) { g() }\n\nfunc g() { _ = cases }", nil},
		{"no test", code, "", []string{"a/x.go:3: no test cites RFC 9000, section 8.1 with a MUST, for: f MUST be"}},
		{"another section", code, "// RFC 9000, section 8.1.1: MUST.\nfunc TestF(t *T) {}", []string{"a/x.go:3: no test cites RFC 9000, section 8.1 with a MUST, for: f MUST be"}},
		{"another document", code, "// RFC 9001, section 8.1: MUST.\nfunc TestF(t *T) {}", []string{"a/x.go:3: no test cites RFC 9000, section 8.1 with a MUST, for: f MUST be"}},
		{"without the word", code, "// RFC 9000, section 8.1.\nfunc TestF(t *T) {}", []string{"a/x.go:3: no test cites RFC 9000, section 8.1 with a MUST, for: f MUST be"}},
		{"a helper that no test uses", code, "// RFC 9000, section 8.1: MUST.\nfunc g() {}", []string{
			"a/x.go:3: no test cites RFC 9000, section 8.1 with a MUST, for: f MUST be",
			"a/x_test.go:3: belongs to no test: MUST",
		}},
		{"no section", "package x\n\n// f MUST be.\nfunc f() {}\n", "", []string{"a/x.go:3: cites no section for: f MUST be"}},
		{"no document", "package x\n\n// Section 8.1: f MUST be.\nfunc f() {}\n", "", []string{"a/x.go:3: names no document for section 8.1"}},
		{"a test without a section", "package x\n", "// It MUST be.\nfunc TestF(t *T) {}", []string{"a/x_test.go:3: cites no section for: It MUST be"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readSpecified(fstest.MapFS{
				"a/x.go":      {Data: []byte(tt.code)},
				"a/x_test.go": {Data: []byte("package x\n\n" + tt.test + "\n")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tt.want, got.untested()); diff != "" {
				t.Errorf("untested (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMustsTable(t *testing.T) {
	got, err := readSpecified(fstest.MapFS{
		"internal/a/x.go":      {Data: []byte("package a\n\n// RFC 9000, sections 10.1 and 9: f MUST be a|b, and MUST NOT be c.\nfunc f() {}\n\n// RFC 8999, section 6: g MUST.\nfunc g() {}\n")},
		"internal/a/x_test.go": {Data: []byte("package a\n\n// RFC 9000, section 9: MUST.\nfunc TestNine(t *T) {}\n")},
		"internal/b/y_test.go": {Data: []byte("package b\n\n// RFC 9000, sections 9 and 10.1: MUST.\nfunc TestBoth(t *T) {}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := tableHead + `
## RFC 8999

| section | requirement | obeyed in | tests |
| --- | --- | --- | --- |
| 6 | g MUST | ` + "`a/x.go`" + ` g |  |

## RFC 9000

| section | requirement | obeyed in | tests |
| --- | --- | --- | --- |
| 9 | f MUST be a\|b, and MUST NOT be c | ` + "`a/x.go`" + ` f | a.TestNine |
| 10.1 | f MUST be a\|b, and MUST NOT be c | ` + "`a/x.go`" + ` f | b.TestBoth |
`
	if diff := gocmp.Diff(want, got.table()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

var update = flag.Bool("update", false, "write docs/MUSTS.md anew")

// Every MUST that the engine's code cites has its test, and docs/MUSTS.md says which.
func TestMusts(t *testing.T) {
	root := strings.TrimSpace(goCommand(t, ".", "list", "-m", "-f", "{{.Dir}}"))
	got, err := readSpecified(os.DirFS(filepath.Join(root, "engine")))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.musts) < 150 {
		t.Errorf("only %d MUSTs were found: the engine has more", len(got.musts))
	}
	for _, line := range got.untested() {
		t.Error("engine/" + line)
	}
	file := filepath.Join(root, "docs", "MUSTS.md")
	if *update {
		if err := os.WriteFile(file, []byte(got.table()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(old) != got.table() {
		t.Error("docs/MUSTS.md is out of date; run: go test ./cmd/internal/walls -run TestMusts -update")
	}
}
