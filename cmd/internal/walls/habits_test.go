package walls

import (
	"fmt"
	"path"
	"slices"
	"testing"
)

// onePackageDoc: who opens a package finds what it is in doc.go, and nowhere else.
func onePackageDoc(p listed) []string {
	var out []string
	has := false
	for _, f := range p.Files {
		switch {
		case f.Name == "doc.go":
			has = f.Doc
		case f.Doc:
			out = append(out, f.Name+" has a package comment: it belongs in doc.go")
		}
	}
	if !has && len(p.Files) > 0 {
		out = append(out, "has no package comment in doc.go")
	}
	return out
}

// tellingName: a package is named after what it is.
func tellingName(p listed) []string {
	for _, name := range []string{p.Name, path.Base(p.Path)} {
		if slices.Contains([]string{"utils", "util", "common", "helpers", "helper", "types", "base", "misc", "shared"}, name) {
			return []string{"is called " + name + ", which says nothing about it"}
		}
	}
	return nil
}

// noInit: nothing happens because a package was imported.
func noInit(p listed) (out []string) {
	for _, f := range p.Files {
		if f.Init {
			out = append(out, f.Name+" has func init(): registries are values")
		}
	}
	return out
}

// noEnvironment: what changes a program's behaviour is an argument; cmd reads the
// environment and passes it on.
func noEnvironment(p listed) (out []string) {
	if under(p.Path, "cmd") {
		return nil
	}
	for _, f := range p.Files {
		for _, use := range f.Uses {
			if slices.Contains([]string{
				"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv",
				"syscall.Getenv", "syscall.Environ", "golang.org/x/sys/unix.Getenv", "golang.org/x/sys/unix.Environ",
			}, use) {
				out = append(out, f.Name+" uses "+use+": only cmd reads the environment")
			}
		}
	}
	return out
}

const maxLines = 600

// shortFiles: a file is one concept.
func shortFiles(p listed) (out []string) {
	for _, f := range p.Files {
		if f.Lines > maxLines {
			out = append(out, fmt.Sprintf("%s has %d lines, more than %d: split it by concept", f.Name, f.Lines, maxLines))
		}
	}
	return out
}

func TestHabitsCatch(t *testing.T) {
	doc := source{Name: "doc.go", Doc: true}
	pkg := func(path string, files ...source) listed { return listed{Path: path, Name: "x", Files: files} }
	tests := []struct {
		name  string
		check func(listed) []string
		pkg   listed
		want  int // violations
	}{
		{"documented in doc.go", onePackageDoc, pkg("a", doc, source{Name: "a.go"}), 0},
		{"documented nowhere", onePackageDoc, pkg("a", source{Name: "a.go"}), 1},
		{"doc.go without a comment", onePackageDoc, pkg("a", source{Name: "doc.go"}), 1},
		{"documented elsewhere", onePackageDoc, pkg("a", source{Name: "a.go", Doc: true}), 2},
		{"documented twice", onePackageDoc, pkg("a", doc, source{Name: "a.go", Doc: true}), 1},
		{"only tests", onePackageDoc, pkg("a"), 0},
		{"a good name", tellingName, listed{Path: "lab/netns", Name: "netns"}, 0},
		{"utils by its folder", tellingName, listed{Path: "lab/utils", Name: "lab"}, 1},
		{"common by its clause", tellingName, listed{Path: "lab/x", Name: "common"}, 1},
		{"init", noInit, snippet(t, "a", "func init() {}"), 1},
		{"a method called init", noInit, snippet(t, "a", "type t int\nfunc (t) init() {}"), 0},
		{"reads the environment", noEnvironment, snippet(t, "lab", "import \"os\"\nvar x = os.Getenv(\"A\")"), 1},
		{"reads it under another name", noEnvironment, snippet(t, "lab", "import system \"os\"\nvar x = system.Environ"), 1},
		{"reads it by system call", noEnvironment, snippet(t, "lab", "import \"golang.org/x/sys/unix\"\nvar x, _ = unix.Getenv(\"A\")"), 1},
		{"cmd may", noEnvironment, snippet(t, "cmd/tquiclab", "import \"os\"\nvar x = os.Getenv(\"A\")"), 0},
		{"another use of os", noEnvironment, snippet(t, "lab", "import \"os\"\nvar x = os.Getpid()"), 0},
		{"600 lines", shortFiles, pkg("a", source{Name: "a.go", Lines: 600}), 0},
		{"601 lines", shortFiles, pkg("a", source{Name: "a.go", Lines: 601}), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.check(tt.pkg); len(got) != tt.want {
				t.Errorf("got %q, want %d violations", got, tt.want)
			}
		})
	}
}
