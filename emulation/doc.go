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
//	black hole ─> MTU ─> loss ─> duplicate ─> corrupt ─> queue ─> slot ─> serialiser ─> delay + jitter ─> out
//
// Loss, duplication and corruption are drawn for each arrival, jitter and
// reordering for each packet that leaves the serialiser, each stage from a
// generator of its own: none shifts another's. The serialiser has a rate, steps of
// it, or the opportunities of a capacity trace.
//
// Not every owner of a Direction can do all of it: Impairments.Features says what
// is asked for. Who shares the bytes of packets with the model finds in Packet's
// Marks what to do to them, and in Discarded what was dropped late.
//
// Files: impairments.go has the request, with the parts loss.go, jitter.go,
// queue.go, slot.go, capacity.go and schedule.go, which also have their stage's
// model; features.go names what is asked for, names.go the words of JSON.
// packet.go has what arrives and its Verdict, direction.go the model (Direction)
// up to the queue, depart.go from the queue on, codel.go the queue discipline,
// copies.go duplicates and corruption, serialiser.go the rate, ring.go the queues,
// counters.go what was counted, drop.go what was dropped, seed.go where randomness comes
// from. patch.go changes some of the impairments (Patch), timeline.go says when
// (Timeline), player.go goes through it (Player).
//
// # Invariants
//
// A packet that was accepted departs exactly once, or is dropped by a queue that
// is told to drop what it holds (drop-head, CoDel); its Data come back once. A
// copy departs after its original. Packets depart in the order of arrival, except
// those that Reorder sends ahead. Departure times follow from the previous ideal
// time, never from a late call. Every packet that does not depart has a DropReason
// and is counted under it. A drop-tail queue drops what arrives, never what it
// holds; what happens to a packet after the queue is decided when the serialiser
// turns to it.
//
// # Limitations
//
// A packet in transmission keeps the rate at which it started, however long that
// takes, when Set changes it: a change from 1 kbit/s to 1 Gbit/s shows 12 s later
// for a full packet. Steps of a schedule take effect within a packet. Likewise the
// packet that is next has its opportunity or slot, and CoDel's verdict, as soon as
// the one before it has ended.
//
// Jitter never reorders, which makes its distribution narrower where packets are
// closer together than it is wide. The tables of the normal and Pareto
// distributions end at four standard deviations, as netem's do, and delays end at
// zero.
//
// A packet that goes ahead takes its turn in the queue and on the wire; netem's
// would skip both. A slot holds packets in the queue, netem's behind the delay.
package emulation
