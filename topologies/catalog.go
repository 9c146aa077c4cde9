package topologies

import (
	"embed"
	"slices"
	"strings"
)

//go:embed catalog/*.yaml
var catalogFiles embed.FS

// Entry is a topology of the embedded catalogue.
type Entry struct {
	Name        string // of the topology, and of its file without .yaml
	Description string // one line
	Source      []byte // the file
}

// Catalog returns the embedded topologies by name. The description is each
// file's first line, which is a comment.
func Catalog() []Entry {
	files, err := catalogFiles.ReadDir("catalog")
	if err != nil {
		panic("topologies: the embedded catalogue cannot be read: " + err.Error())
	}
	var entries []Entry
	for _, f := range files {
		source, err := catalogFiles.ReadFile("catalog/" + f.Name())
		if err != nil {
			panic("topologies: the embedded catalogue cannot be read: " + err.Error())
		}
		first, _, _ := strings.Cut(string(source), "\n")
		entries = append(entries, Entry{
			Name:        strings.TrimSuffix(f.Name(), ".yaml"),
			Description: strings.TrimSpace(strings.TrimPrefix(first, "#")),
			Source:      source,
		})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}
