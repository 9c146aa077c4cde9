package topologies

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tquiclab/tquiclab/emulation"
)

// maxEvents is how many events a file may have.
const maxEvents = 4096

// fileEvent is what a file says about an event. Exactly one of the keys that say
// what happens is there.
type fileEvent struct {
	at, every field[time.Duration]
	times     field[uint64]
	link, way field[string]
	node      field[string]
	set       field[change]
	ramp      field[time.Duration]
	down      field[time.Duration] // 0: it stays
	blackhole field[time.Duration] // 0: it stays
	up        field[bool]
	through   field[bool]
	rebind    field[bool]
	lasts     field[time.Duration]
}

func eventKeys() []key[fileEvent] {
	what := []key[fileEvent]{
		{
			name: "set", doc: "impairments that change: those of both directions, or under up and down",
			schema: objectSchema(changeKeys()),
			decode: at(func(e *fileEvent) *field[change] { return &e.set }, mapping(changeKeys(), nil)),
		},
		{
			name: "down", doc: "both ends lose the carrier: for a time such as 2s, or true until up",
			schema: anySchema(timeSchema(), schema{"const": true}),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.down }, repeat),
		},
		{
			name: "up", doc: "true: both ends have the carrier again",
			schema: schema{"const": true},
			decode: at(func(e *fileEvent) *field[bool] { return &e.up }, onlyTrue),
		},
		{
			name: "blackhole", doc: "packets vanish while the interfaces stay up: for a time such as 500ms, or true until through",
			schema: anySchema(timeSchema(), schema{"const": true}),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.blackhole }, repeat),
		},
		{
			name: "through", doc: "true: a black hole ends",
			schema: schema{"const": true},
			decode: at(func(e *fileEvent) *field[bool] { return &e.through }, onlyTrue),
		},
		{
			name: "rebind", doc: "true: the nat under node forgets its mappings, and new ones get other ports",
			schema: schema{"const": true},
			decode: at(func(e *fileEvent) *field[bool] { return &e.rebind }, onlyTrue),
		},
	}
	return append(whenKeys(), what...)
}

// whenKeys are those that say when, where and for how long.
func whenKeys() []key[fileEvent] {
	return []key[fileEvent]{
		{
			name: "at", required: true, doc: "when, after the start, such as 5s",
			schema: timeSchema(),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.at }, quantity(ParseTime)),
		},
		{
			name: "every", doc: "again and again after at, in this distance",
			schema: timeSchema(),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.every }, everyTime),
		},
		{
			name: "times", doc: "how often in all, with every; without end unless set",
			schema: integerSchema(1, mostPackets),
			decode: at(func(e *fileEvent) *field[uint64] { return &e.times }, integer("a number of times", 1, mostPackets)),
		},
		{
			name: "link", doc: "the link that it happens to; all but rebind need one",
			schema: textSchema(namePattern(maxNodeName)),
			decode: at(func(e *fileEvent) *field[string] { return &e.link }, word),
		},
		{
			name: "way", doc: "up or down for set, blackhole and through in one direction; both unless set",
			schema: wordSchema([]string{"up", "down"}),
			decode: at(func(e *fileEvent) *field[string] { return &e.way }, oneOf("direction", []string{"up", "down"})),
		},
		{
			name: "node", doc: "the nat that rebind happens to",
			schema: textSchema(namePattern(maxNodeName)),
			decode: at(func(e *fileEvent) *field[string] { return &e.node }, word),
		},
		{
			name: "ramp", doc: "spreads set over this time in a straight line: rate, delay, jitter and loss alone",
			schema: timeSchema(),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.ramp }, positiveTime),
		},
		{
			name: "for", doc: "ends down: true and blackhole: true after this time",
			schema: timeSchema(),
			decode: at(func(e *fileEvent) *field[time.Duration] { return &e.lasts }, positiveTime),
		},
	}
}

// onlyTrue reads true: its absence is the other value.
func onlyTrue(d *decoder, n node) (bool, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "true" {
		return true, true
	}
	if d.wantKind(n, yaml.ScalarNode) {
		d.problem(n.place(), Problem{Text: quote(n.Value) + " is not true", Expected: "true"})
	}
	return false, false
}

func everyTime(d *decoder, n node) (time.Duration, bool) {
	t, ok := quantity(ParseTime)(d, n)
	if ok && t < emulation.MinEvery {
		d.problem(n.place(), Problem{Text: "again every " + FormatTime(t), Expected: "at least " + FormatTime(emulation.MinEvery)})
		return 0, false
	}
	return t, ok
}
