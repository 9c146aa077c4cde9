package topologies

import (
	"net/netip"
	"time"
)

// Bounds of the format. The counts are sane upper bounds, not targets.
const (
	maxNodes       = 256
	maxLinks       = 256 // as many as the default addresses 10.77.i.0/24 have room for
	maxEngines     = 64
	maxChoices     = 16 // schedulers or congestion controls
	maxStreams     = 1024
	maxConnections = 256
	maxRounds      = 10_000
	// minMTU: IPv6 asks for 1280 bytes of every link (RFC 8200 section 5).
	minMTU = 1280
	// minMTU4 is for links without IPv6: every host takes an IPv4 packet of 576 bytes
	// (RFC 791 section 3.1).
	minMTU4 = 576
	// maxMTU is the largest IP packet without jumbograms, and veth's limit.
	maxMTU = 65_535
)

// Defaults of the format.
const (
	defaultSeed     = 1
	defaultMTU      = 1500
	defaultKind     = "bulk"
	defaultDuration = 10 * time.Second
	defaultRounds   = 3
)

// file is what a topology file says, before defaults.
type file struct {
	name       field[string]
	seed       field[uint64]
	start      field[Start]
	nodes      field[[]fileNode]
	links      field[[]field[fileLink]]
	events     field[[]field[fileEvent]]
	experiment field[fileExperiment]
}

type fileLink struct {
	name      field[string]
	endpoints field[[]field[string]]
	profile   field[string]
	mtu       field[uint64]
	family    field[Family]
	wired     field[bool]
	up, down  field[direction]
	addresses field[[]fileEnd]
}

// fileEnd is one endpoint's entry under addresses.
type fileEnd struct {
	node     place
	name     string
	prefixes field[[]field[netip.Prefix]]
}

type fileExperiment struct {
	from, to field[string]
	workload field[fileWorkload]
	engines  field[[]field[EngineRef]]
	paths    field[[]field[string]]
	// of the engines that take them by name
	schedulers, congestions field[[]field[string]]
	rounds                  field[uint64]
}

// fileKeys lists the keys of a file. Profiles are handed in because the profiles
// themselves are read with the keys of a direction.
func fileKeys(profiles []string) []key[file] {
	return []key[file]{
		{
			name: "name", required: true, doc: "name of the lab, part of its namespaces' names",
			schema: textSchema(namePattern(maxLabName)),
			decode: at(func(f *file) *field[string] { return &f.name }, nameOf("lab", maxLabName, "it becomes part of the namespaces' names", nil)),
		},
		{
			name: "seed", doc: "start of all randomness, 1 unless set",
			schema: integerSchema(0, maxSeed).with("default", defaultSeed),
			decode: at(func(f *file) *field[uint64] { return &f.seed }, integer("a seed", 0, maxSeed)),
		},
		{
			name: "start", doc: "when the clock of steps, traces and events starts: first-packet on any wire (the default), up or manual",
			schema: wordSchema(words(starts())),
			decode: at(func(f *file) *field[Start] { return &f.start }, wordOf("start", starts())),
		},
		{
			name: "nodes", required: true, doc: "the nodes of the lab, each a network namespace, as in {client: {}, middle: {kind: router}}",
			schema: nodesSchema(),
			decode: at(func(f *file) *field[[]fileNode] { return &f.nodes }, nodes),
		},
		{
			name: "links", required: true, doc: "the connections between nodes, a list",
			schema: listSchema(objectSchema(linkKeys(profiles)), 1, maxLinks),
			decode: at(func(f *file) *field[[]field[fileLink]] { return &f.links }, list(mapping(linkKeys(profiles), misplacedInLink()))),
		},
		{
			name: "events", doc: "what changes in the course of time, a list such as [{at: 5s, link: lte, down: 2s}]",
			schema: listSchema(objectSchema(eventKeys()), 0, maxEvents),
			decode: at(func(f *file) *field[[]field[fileEvent]] { return &f.events }, list(mapping(eventKeys(), nil))),
		},
		{
			name: "experiment", doc: "what `run` does with the lab",
			schema: objectSchema(experimentKeys()),
			decode: at(func(f *file) *field[fileExperiment] { return &f.experiment }, mapping(experimentKeys(), misplacedInExperiment())),
		},
	}
}

func linkKeys(profiles []string) []key[fileLink] {
	return []key[fileLink]{
		{
			name: "name", required: true, doc: "name of the link, and of its interface in both nodes",
			schema: textSchema(namePattern(maxNodeName)).with("not", wordSchema(reservedLinks())),
			decode: at(func(l *fileLink) *field[string] { return &l.name }, nameOf("link", maxNodeName, "it becomes the name of an interface", reservedLinks())),
		},
		{
			name: "endpoints", required: true, doc: "the two nodes that it joins, as in [client, server]; up is from the first to the second",
			schema: listSchema(textSchema(namePattern(maxNodeName)), 2, 2).with("uniqueItems", true),
			decode: at(func(l *fileLink) *field[[]field[string]] { return &l.endpoints }, list(word)),
		},
		{
			name: "profile", doc: "the impairments to start from, in both directions",
			schema: wordSchema(profiles),
			decode: at(func(l *fileLink) *field[string] { return &l.profile }, oneOf("profile", profiles)),
		},
		{
			name: "mtu", doc: "MTU of the interfaces in bytes, 1500 unless set",
			schema: integerSchema(minMTU4, maxMTU).with("default", defaultMTU),
			decode: at(func(l *fileLink) *field[uint64] { return &l.mtu }, mtu),
		},
		{
			name: "family", doc: "the only IP version that it carries: ipv4 or ipv6; both unless set",
			schema: wordSchema(words(oneFamily())),
			decode: at(func(l *fileLink) *field[Family] { return &l.family }, wordOf("family", oneFamily())),
		},
		{
			name: "wired", doc: "true: it has a wire even without impairments, for a change by hand; false unless set",
			schema: schema{"type": "boolean"},
			decode: at(func(l *fileLink) *field[bool] { return &l.wired }, boolean),
		},
		{
			name: "up", doc: "impairments from the first endpoint to the second; each key overrides the profile's",
			schema: objectSchema(directionKeys()),
			decode: at(func(l *fileLink) *field[direction] { return &l.up }, mapping(directionKeys(), nil)),
		},
		{
			name: "down", doc: "impairments from the second endpoint to the first; each key overrides the profile's",
			schema: objectSchema(directionKeys()),
			decode: at(func(l *fileLink) *field[direction] { return &l.down }, mapping(directionKeys(), nil)),
		},
		{
			name: "addresses", doc: "addresses per endpoint, at most one IPv4 and one IPv6 prefix each; a family that is not set follows from the link's place in the file",
			schema: addressesSchema(),
			decode: at(func(l *fileLink) *field[[]fileEnd] { return &l.addresses }, ends),
		},
	}
}

func experimentKeys() []key[fileExperiment] {
	return []key[fileExperiment]{
		{
			name: "from", required: true, doc: "the node that sends",
			schema: textSchema(namePattern(maxNodeName)),
			decode: at(func(e *fileExperiment) *field[string] { return &e.from }, word),
		},
		{
			name: "to", required: true, doc: "the node that receives",
			schema: textSchema(namePattern(maxNodeName)),
			decode: at(func(e *fileExperiment) *field[string] { return &e.to }, word),
		},
		{
			name: "workload", doc: "the traffic of a trial; bulk for 10s unless set",
			schema: objectSchema(workloadKeys()).with("not", schema{"required": []string{"duration", "bytes"}}),
			decode: at(func(e *fileExperiment) *field[fileWorkload] { return &e.workload }, mapping(workloadKeys(), nil)),
		},
		{
			name: "engines", required: true, doc: "the transports to compare, such as [tcp, mptcp]; tcp@lte pins one to a link, tquic:scheduler=ecf:congestion=bbr sets what it can choose",
			schema: listSchema(textSchema(engineRefPattern), 1, maxEngines).with("uniqueItems", true),
			decode: at(func(e *fileExperiment) *field[[]field[EngineRef]] { return &e.engines }, list(quantity(ParseEngine))),
		},
		{
			name: "paths", doc: "the only paths that engines without an @ use, each named by its first link, such as [lte, wifi]; all unless set",
			schema: listSchema(textSchema(namePattern(maxNodeName)), 1, maxLinks).with("uniqueItems", true),
			decode: at(func(e *fileExperiment) *field[[]field[string]] { return &e.paths }, list(word)),
		},
		{
			name: "schedulers", doc: "the schedulers to compare, an arm each, in engines over several paths that take them by name; the engine's default unless set",
			schema: listSchema(textSchema(namePattern(maxLabName)), 1, maxChoices).with("uniqueItems", true),
			decode: at(func(e *fileExperiment) *field[[]field[string]] { return &e.schedulers }, list(nameOf("scheduler", maxLabName, "no engine has one of such a name", nil))),
		},
		{
			name: "congestions", doc: "the congestion controls to compare, an arm each, in engines that take them by name; the engine's default unless set",
			schema: listSchema(textSchema(namePattern(maxLabName)), 1, maxChoices).with("uniqueItems", true),
			decode: at(func(e *fileExperiment) *field[[]field[string]] { return &e.congestions }, list(nameOf("congestion control", maxLabName, "no engine has one of such a name", nil))),
		},
		{
			name: "rounds", doc: "how often every engine runs, 3 unless set",
			schema: integerSchema(1, maxRounds).with("default", defaultRounds),
			decode: at(func(e *fileExperiment) *field[uint64] { return &e.rounds }, integer("a number of rounds", 1, maxRounds)),
		},
	}
}

// misplacedInLink says where keys belong that are easily written a level too high.
func misplacedInLink() map[string]string {
	where := map[string]string{}
	for _, name := range keyNames(directionKeys()) {
		where[name] = "under up or down: impairments have a direction"
	}
	delete(where, "mtu") // a link has one too
	return where
}

func misplacedInExperiment() map[string]string {
	where := map[string]string{}
	for _, name := range keyNames(workloadKeys()) {
		where[name] = "under workload"
	}
	return where
}
