package results

import (
	"runtime/debug"
	"strings"
)

// Build is what a binary was made of.
type Build struct {
	Version   string            `json:"version"` // of the main module: a tag, a pseudo-version or "(devel)"
	Revision  string            `json:"revision,omitempty"`
	Modified  *bool             `json:"modified"` // null when the binary does not know
	GoVersion string            `json:"go_version"`
	Modules   map[string]string `json:"modules"` // every dependency compiled in
}

// NewBuild takes the facts from what debug.ReadBuildInfo returned.
func NewBuild(info *debug.BuildInfo) Build {
	b := Build{Version: info.Main.Version, GoVersion: info.GoVersion, Modules: map[string]string{}}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			modified := s.Value == "true"
			b.Modified = &modified
		}
	}
	for _, m := range info.Deps {
		version := m.Version
		if m.Replace != nil {
			version += strings.TrimRight(" => "+m.Replace.Path+" "+m.Replace.Version, " ")
		}
		b.Modules[m.Path] = version
	}
	return b
}
