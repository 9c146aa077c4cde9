package walls

import (
	"fmt"
	"slices"
	"testing"
)

// rule is one rule over all packages; it returns a line for every violation.
type rule struct {
	name  string
	check func([]listed) []string
}

// perPackage lifts a rule about one package.
func perPackage(check func(listed) []string) func([]listed) []string {
	return func(pkgs []listed) (out []string) {
		for _, p := range pkgs {
			for _, v := range check(p) {
				out = append(out, fmt.Sprintf("%s: %s", p.Path, v))
			}
		}
		return out
	}
}

func rules() []rule {
	return []rule{
		{"imports point one way", perPackage(importWalls)},
		{"the core is pure", perPackage(corePurity)},
		{"one package comment, in doc.go", perPackage(onePackageDoc)},
		{"package names tell", perPackage(tellingName)},
		{"no func init", perPackage(noInit)},
		{"only cmd reads the environment", perPackage(noEnvironment)},
		{"files are short", perPackage(shortFiles)},
	}
}

// The module keeps its own rules.
func TestWalls(t *testing.T) {
	pkgs := list(t)
	for _, path := range []string{"emulation", "engine", "results", "topologies", "cmd/internal/walls"} {
		if !slices.ContainsFunc(pkgs, func(p listed) bool { return p.Path == path && len(p.Files) > 0 }) {
			t.Errorf("%s was not listed: the rules looked at %d packages", path, len(pkgs))
		}
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, violation := range r.check(pkgs) {
				t.Error(violation)
			}
		})
	}
}
