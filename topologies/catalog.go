package topologies

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed catalog
var catalogFiles embed.FS

// Entry is a topology of the embedded catalogue.
type Entry struct {
	// Name is the path of its file without .yaml: bench/jit-5. With dashes for its
	// slashes it is the topology's name.
	Name        string
	Description string // one line
	Source      []byte // the file
}

// Catalog returns the embedded topologies by name. The description is each
// file's first line, which is a comment.
func Catalog() []Entry {
	var entries []Entry
	err := fs.WalkDir(catalogFiles, "catalog", func(path string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		source, err := catalogFiles.ReadFile(path)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(source), "\n")
		entries = append(entries, Entry{
			Name:        strings.TrimSuffix(strings.TrimPrefix(path, "catalog/"), ".yaml"),
			Description: strings.TrimSpace(strings.TrimPrefix(first, "#")),
			Source:      source,
		})
		return nil
	})
	if err != nil {
		panic("topologies: the embedded catalogue cannot be read: " + err.Error())
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}
