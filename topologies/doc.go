// Package topologies is the lab on paper: a YAML file in, a plain Topology with
// every default filled in out.
//
// It is pure but for Loader.Load and Loader.Find, which read one file. It knows
// the emulation's model types and nothing of the machine, of namespaces or of
// engines: the names of known engines are handed in.
//
// A file passes through in one direction:
//
//	bytes ─ source.go ─> YAML nodes ─ decode.go, file.go ─> file ─ resolve.go ─> Topology
//
// source.go refuses what YAML has and this format has not (anchors, tags,
// several documents). file.go lists every key once, with its meaning, its schema
// and its reader: the strict decoder and the JSON Schema both come from that
// list. read.go has the readers of plain values, values.go those of this format's
// own. resolve.go, address.go and experiment.go fill in defaults and check what
// needs more than one key. Each of these stages adds to one list of Problems
// (problem.go, nearest.go) and goes on, so that a user sees them all at once.
//
// Beside that line: topology.go has the result and loader.go the way in;
// quantity.go has the quantities in both directions, over measure.go, unit.go and
// decimal.go; name.go the rule for names; profile.go and profiles.yaml the
// profiles; catalog.go and catalog/ the embedded topologies; engine.go the items
// of an experiment's list of engines; schema.go, show.go and diagram.go the ways
// out. Drawings: diagram_terminal.go has boxes and lines, diagram_markup.go Mermaid
// and DOT, diagram_svg.go pictures over diagram_layout.go, and diagram_text.go what
// they all say.
//
// # Invariants
//
// Every Topology that Parse returns passes emulation.Impairments.Validate in
// each direction, and Parse(Show(t)) equals t. No input makes the package panic.
//
// # Limitations
//
// YAML syntax errors carry the line that gopkg.in/yaml.v3 reports, which for a
// flow collection is where the collection starts, and the column of the first
// character in that line: the library gives no column. Only the first syntax
// error of a file is known.
package topologies
