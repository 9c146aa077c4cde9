// Package conductor plays what a topology's timeline does to a running lab beside
// the packets' own clock: links that go down and up, NATs that forget, and, where
// the kernel is the emulator, each change of a direction's impairments.
//
// The conductor is a process of the lab (Child), as the relay is: started by up
// where something needs it, told what to do on its standard input (Spec), with the
// namespaces of its wires and NATs as open files. It answers on a unix socket
// (Client), and ends with the lab.
//
//	topology ─> Score ──Next──> Conductor ──> Stage ──> netlink, netem, nftables
//	            (pure)            │   ^
//	                           journal └── Clock: the relay's, or its own (counters)
//
// # Files
//
// program.go goes through entries that repeat, score.go through all that happens in
// a lab, in order: both are pure, driven by the time since the start. conductor.go
// is the loop around them, perform.go what it does when something is due, change.go
// what is done by hand. clock.go says when the lab's clock starts. stage.go is the
// kernel's side. spec.go is what the process is told, child.go its life, control.go
// and client.go questions and answers.
//
// # Invariants
//
// One goroutine owns the score and the stage. A change is in the journal when it has
// taken effect, with how late it was. Changes of one direction that are due together
// are applied as one, and of operations that are due again before they were carried
// out only the latest is, with a word in the journal: a conductor that cannot keep up is
// late, but never ever later.
//
// A link goes down by setting the wire's own ends down: the nodes see no carrier and
// keep addresses and routes, as with a pulled cable.
//
// # Limits
//
// Both ends of a link change one after another, milliseconds apart. Packets stop at
// once; the nodes are told of the loss within a second, and a carrier that returns
// carries as soon as the kernel has told them (net/core/link_watch.c): at once, or
// before Linux 6.7 within a second. What was on its way in the wire when the carrier
// went is lost. The clock of a lab without a
// relay starts up to one polling interval behind its first packet; the journal says
// how far.
package conductor
