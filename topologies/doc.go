// Package topologies is the lab on paper: a YAML file in, a plain Topology with
// every default filled in out.
//
// It is pure but for Loader.Load, Loader.Find and a Loader with a Dir, which read
// files. It knows the emulation's model types and traces and nothing of the machine, of
// namespaces or of engines: the names of known engines are handed in.
//
// A file passes through in one direction:
//
//	bytes ─ source.go ─> YAML nodes ─ decode.go, file.go ─> file ─ resolve.go ─> Topology
//
// source.go refuses what YAML has and this format has not (anchors, tags,
// several documents). file.go lists every key once, with its meaning, its schema
// and its reader: the strict decoder and the JSON Schema both come from that
// list. Parts of it are in node.go (nodes), direction.go, loss.go and capacity.go
// (impairments), and eventkeys.go (events). read.go has the readers of plain values,
// values.go those of this format's own. resolve.go, node.go, address.go, timeline.go
// and experiment.go fill in defaults and check what needs more than one key. Each of
// these stages adds to one list of Problems (problem.go, nearest.go) and goes on, so
// that a user sees them all at once.
//
// What a direction's keys ask for is an emulation.Patch (patch.go, loss.go,
// sources.go), which is laid over a profile, over a link in force when an event sets
// it, or over what a running lab has: change.go reads assignments by hand with the same
// keys. blame.go says at which key it is that a combination is impossible. sources.go
// says where traces and steps come from, tracefile.go reads their files within bounds
// and generated.go makes them; both note them in Topology.Traces.
//
// Beside that line: topology.go and event.go have the result and loader.go the way in;
// path.go and route.go say how packets get from host to host, over graph.go; quantity.go has the quantities in both directions,
// over measure.go, unit.go and decimal.go; name.go the rule for names; profile.go and
// profiles.yaml the profiles; catalog.go and catalog/ the embedded topologies; engine.go
// the items of an experiment's list of engines; schema.go, show.go with settings.go,
// summary.go and diagram.go the ways out. Drawings: diagram_terminal.go has boxes and
// lines, diagram_markup.go Mermaid and DOT, diagram_svg.go pictures over
// diagram_layout.go, and diagram_text.go what they all say.
//
// # Invariants
//
// Every Topology that Parse returns passes emulation.Impairments.Validate in each
// direction, and its Timelines pass emulation.Timeline.Validate. Parse(Show(t)) equals
// t, where the Loader's Dir is the folder that t was read from: Show names the files of
// traces as t does, with their SHA-256. No input makes the package panic; what it reads
// from files and generates is bounded in size and time.
//
// # Limitations
//
// YAML syntax errors carry the line that gopkg.in/yaml.v3 reports, which for a
// flow collection is where the collection starts, and the column of the first
// character in that line: the library gives no column. Only the first syntax
// error of a file is known. A read from a regular file of a file system that does not
// answer is not cut off.
package topologies
