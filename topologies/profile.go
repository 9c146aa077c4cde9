package topologies

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/tquiclab/tquiclab/emulation"
)

//go:embed profiles.yaml
var profilesSource string

// Profile is a named set of impairments that a link can start from.
type Profile struct {
	Name     string
	Up, Down emulation.Impairments
}

// profile is one as profiles.yaml has it: its traces are made where a link uses it.
type profile struct {
	name     string
	up, down direction
}

// fileProfile is a profile's mapping.
type fileProfile struct {
	up, down field[direction]
}

// Profiles returns the embedded profiles, by name, with generated traces as the
// topology seed 1 and a link of the profile's name have them. Their figures and where
// those come from are in profiles.yaml.
func Profiles() []Profile {
	d := decoder{file: "profiles.yaml"}
	var out []Profile
	for _, p := range d.profiles() {
		by := origin{link: p.name, way: "up", seed: defaultSeed}
		up := d.impairments(place{}, field[direction]{state: good, value: p.up}, nil, "", by)
		by.way = "down"
		down := d.impairments(place{}, field[direction]{state: good, value: p.down}, nil, "", by)
		out = append(out, Profile{p.name, up, down})
	}
	d.wantNone()
	return out
}

// embeddedProfiles returns the profiles as they are read, by name. They are a constant
// that costs milliseconds to read, so that it is read once.
func embeddedProfiles() []profile { return readProfiles() }

var readProfiles = sync.OnceValue(func() []profile {
	d := decoder{file: "profiles.yaml"}
	profiles := d.profiles()
	d.wantNone()
	return profiles
})

func (d *decoder) profiles() []profile {
	var profiles []profile
	root := d.parseYAML([]byte(profilesSource))
	d.pairs(node{root, ""}, func(name, value node) {
		p, _ := mapping(profileKeys(), nil)(d, value)
		profiles = append(profiles, profile{name.Value, p.up.value, p.down.value})
	})
	slices.SortFunc(profiles, func(a, b profile) int { return strings.Compare(a.name, b.name) })
	return profiles
}

func (d *decoder) wantNone() {
	if len(d.problems) > 0 {
		panic("topologies: the embedded profiles are wrong: " + d.problems.Error())
	}
}

func profileKeys() []key[fileProfile] {
	return []key[fileProfile]{
		{name: "up", required: true, decode: at(func(p *fileProfile) *field[direction] { return &p.up }, mapping(directionKeys(), nil))},
		{name: "down", required: true, decode: at(func(p *fileProfile) *field[direction] { return &p.down }, mapping(directionKeys(), nil))},
	}
}

func profileNames() []string {
	var names []string
	for _, p := range embeddedProfiles() {
		names = append(names, p.name)
	}
	return names
}
