package topologies

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotFound is wrapped by Find's error when a name is neither a file nor in
// the catalogue.
var ErrNotFound = errors.New("no such topology")

// Loader reads topologies. The zero value accepts any engine.
type Loader struct {
	// Engines are the names that experiments may use, in the order that errors
	// list them. Nil means that names are not checked.
	Engines []string
	// Dir is the folder that the files are relative to which a topology names (traces,
	// tables of jitter). Load takes the folder of its file. Empty: Parse reads no
	// files and refuses their names.
	Dir string
}

func (l Loader) sources() traces { return traces{dir: l.Dir, readable: l.Dir != ""} }

// Parse reads a topology. The filename stands in problems only. What is wrong
// with the data is returned as Problems, all of it, in the order of the file.
func (l Loader) Parse(filename string, data []byte) (Topology, error) {
	d := &decoder{file: filename, traces: l.sources()}
	if root := d.parseYAML(data); root != nil {
		profiles := embeddedProfiles()
		names := make([]string, len(profiles))
		for i, p := range profiles {
			names[i] = p.name
		}
		f, ok := mapping(fileKeys(names), nil)(d, node{root, ""})
		if ok {
			t := d.resolve(&f, profiles, l.Engines)
			if len(d.problems) == 0 {
				return t, nil
			}
		}
	}
	d.problems.sort()
	return Topology{}, d.problems
}

// Load reads a topology from a file. The error is Problems, or what the system
// said about the file.
func (l Loader) Load(path string) (Topology, error) {
	f, err := os.Open(path)
	if err != nil {
		return Topology{}, fmt.Errorf("read topology: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // Parse refuses what is longer
	if err != nil {
		return Topology{}, fmt.Errorf("read topology: %w", err)
	}
	l.Dir = filepath.Dir(path)
	return l.Parse(path, data)
}

// Find reads a topology by path or by the name of a catalogue entry, with or
// without .yaml. A file that exists wins over the catalogue. The error is
// Problems, wraps ErrNotFound and names the nearest entries, or is what the
// system said about the file.
func (l Loader) Find(nameOrPath string) (Topology, error) {
	info, err := os.Stat(nameOrPath)
	if err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist) && strings.ContainsRune(nameOrPath, filepath.Separator) {
		return l.Load(nameOrPath)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(nameOrPath, ".yaml"), ".yml")
	var names []string
	for _, e := range Catalog() {
		if e.Name == name {
			return l.Parse(e.Name+".yaml", e.Source)
		}
		names = append(names, e.Name)
	}
	if err == nil {
		return Topology{}, fmt.Errorf("%s is a directory: %w: give a file or a name of the catalogue", nameOrPath, ErrNotFound)
	}
	near := nearest(name, names)
	if len(near) == 0 {
		near = nearest(strings.TrimSuffix(filepath.Base(name), "."), names)
	}
	if len(near) == 0 {
		return Topology{}, fmt.Errorf("%w: no file %s, and not in the catalogue, which `tquiclab topologies list` prints", ErrNotFound, quote(nameOrPath))
	}
	const most = 3
	near = near[:min(len(near), most)]
	return Topology{}, fmt.Errorf("%w: no file %s, and not in the catalogue; did you mean %s?", ErrNotFound, quote(nameOrPath), strings.Join(near, " or "))
}
