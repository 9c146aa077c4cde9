// Package emulation is the impairment model of one wire direction: what a link
// does to each packet, and when it lets it go.
//
// It is pure. It does no I/O, starts no goroutine, takes no lock and reads no
// clock: every call that depends on the time takes it as an argument, and all
// randomness comes from a seed. The same calls give the same verdicts on every
// machine, which is what lets the relay (real time), simnet (virtual time) and
// the netem backend (the kernel's own model) be held against each other.
//
// A packet passes the stages in this order:
//
//	MTU ─> loss ─> queue (drop-tail) ─> serialiser (rate) ─> delay + jitter, in order ─> out
//
// Loss is drawn for each arrival and jitter for each packet that leaves the
// serialiser, each stage from a generator of its own: none shifts another's.
//
// Files: impairments.go has the request (Impairments, Rate, Queue), packet.go what
// arrives and its Verdict, direction.go the model (Direction), serialiser.go its
// rate, ring.go its queues, counters.go what it counted, seed.go where its
// randomness comes from.
//
// # Invariants
//
// A packet that was accepted departs exactly once, in arrival order. Departure
// times follow from the previous ideal time, never from a late call. Every
// packet that does not depart has a DropReason and is counted under it. A queue
// drops what arrives, never what it holds; but what happens to a packet after the
// queue is decided only when its transmission starts.
//
// # Limitations
//
// A packet in transmission keeps the rate at which it started, however long that
// takes: a change from 1 kbit/s to 1 Gbit/s shows 12 s later for a full packet.
// Jitter never reorders, which makes its distribution narrower where packets are
// closer together than it is wide.
package emulation
