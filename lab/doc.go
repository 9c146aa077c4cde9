// Package lab turns a topology into a running network on this host and takes it
// down again: namespaces, veth pairs, wires, processes.
//
// Host is the entry: the place on this machine where labs keep their state. Its
// Up, Down, Reap, List and Open return; nothing of the package runs on by itself
// except the relay and the conductor of a lab that has them. Lab is one running lab, to run
// commands and open sockets in.
//
// # What belongs to a lab
//
// Each lab has a Mark. Every namespace bears it before its name can be seen,
// every veth bears it as its alias, every process of the lab carries it in its
// environment (MarkVariable). Down and Reap end and remove what bears the mark,
// and nothing else; they need no state file for that, so that they work after a
// kill -9 at any moment, twice, and in parallel.
//
// # Up
//
// NewPlan is pure: the same topology gives the same steps. Up runs them in order;
// what a step with an undo makes is in the state file before the first one runs. When
// a step fails or the context ends, what was made is taken down before Up returns.
//
// # Files
//
// host.go (Host), plan.go (NewPlan, Step), up.go, down.go, reap.go, state.go and
// lock.go (what stands in Dir), mark.go and process.go (ownership), backend.go,
// backend_relay.go and backend_netem.go (who makes the wires work), mptcp.go (which
// paths MPTCP uses), child.go
// (processes that outlive the command), conduct.go (who plays the timeline), lab.go
// exec.go and shell.go (a running lab), change.go, changer.go and changer_relay.go (what can be
// changed in it, with and without a conductor), changes.go (what has changed),
// status.go, watch.go and facts.go (what it looks like).
//
// # Limits
//
// A host with more than eight links has MPTCP over the first eight only: the kernel's
// path manager takes no more. A process that a user started in a
// node by other means than this package (ip-netns(8), nsenter(1)) is not the
// lab's: Down names it and leaves it alone, and its namespace lives on without a
// name until it ends.
package lab
