package topologies

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

//go:embed profiles.yaml
var profilesSource string

// Profile is a named set of impairments that a link can start from.
type Profile struct {
	Name     string
	Up, Down emulation.Impairments
}

// fileProfile is a profile as profiles.yaml has it.
type fileProfile struct {
	up, down field[direction]
}

// Profiles returns the embedded profiles, by name. Their figures and where those
// come from are in profiles.yaml.
func Profiles() []Profile {
	d := decoder{file: "profiles.yaml"}
	var profiles []Profile
	root := d.parseYAML([]byte(profilesSource))
	d.pairs(node{root, ""}, func(name, value node) {
		p, _ := mapping(profileKeys(), nil)(&d, value)
		profiles = append(profiles, Profile{
			Name: name.Value,
			Up:   d.impairments(name.place(), p.up, emulation.Impairments{}, ""),
			Down: d.impairments(name.place(), p.down, emulation.Impairments{}, ""),
		})
	})
	if len(d.problems) > 0 {
		panic("topologies: the embedded profiles are wrong: " + d.problems.Error())
	}
	slices.SortFunc(profiles, func(a, b Profile) int { return strings.Compare(a.Name, b.Name) })
	return profiles
}

func profileKeys() []key[fileProfile] {
	return []key[fileProfile]{
		{name: "up", required: true, decode: at(func(p *fileProfile) *field[direction] { return &p.up }, mapping(directionKeys(), nil))},
		{name: "down", required: true, decode: at(func(p *fileProfile) *field[direction] { return &p.down }, mapping(directionKeys(), nil))},
	}
}

func profileNames() []string {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
	}
	return names
}
