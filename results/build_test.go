package results

import (
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewBuild(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "github.com/tquiclab/tquiclab", Version: "v0.1.0"},
		Deps: []*debug.Module{
			{Path: "github.com/quic-go/quic-go", Version: "v0.65.0"},
			{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "../a"}},
			{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0"}},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "cf9f1af"}, {Key: "vcs.modified", Value: "true"}},
	}
	want := Build{
		Version: "v0.1.0", Revision: "cf9f1af", Modified: ptr(true), GoVersion: "go1.26.8",
		Modules: map[string]string{
			"github.com/quic-go/quic-go": "v0.65.0",
			"example.org/a":              "v1.0.0 => ../a",
			"example.org/b":              "v1.0.0 => example.org/c v2.0.0",
		},
	}
	if diff := cmp.Diff(want, NewBuild(info)); diff != "" {
		t.Errorf("build (-want +got):\n%s", diff)
	}
	if b := NewBuild(&debug.BuildInfo{}); b.Modified != nil || b.Modules == nil {
		t.Errorf("an unstamped binary: got %+v, want modified unknown and no modules", b)
	}
}
