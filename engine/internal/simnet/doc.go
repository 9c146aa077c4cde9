// Package simnet is a network in virtual time: nodes with addresses, links that
// impair packets as emulation's model says, and an event loop that jumps from one
// event to the next.
//
// It is no network stack: datagrams go over the link of the address that they come
// from, and from router to router as their routes say; there is no ICMP and no kernel
// buffer. It knows nothing of QUIC: a node's Handler is whatever wants datagrams and
// deadlines.
//
// Beyond the model a direction can have Faults (duplicates, flipped bits,
// reordering, blackouts, an MTU that changes, a NAT that rebinds). They are for
// tests: a topology cannot ask for them.
//
// Traces, steps and timelines of all links count from the first packet on any of
// them.
//
// Files: network.go has Network and its event loop, event.go what comes next, start.go
// the clock of timelines; node.go nodes and Handler, link.go links and what they
// count, send.go a datagram's way in, hold.go what the model has of it, deliver.go its
// way out, route.go the routers on it, faults.go what tests do to it, nat.go rebinding, stall.go why a loop gave
// up, heap.go what events wait in.
//
// # Invariants
//
// One goroutine owns a Network and everything attached to it. Time never goes back,
// and only Run moves it. A packet departs at the model's ideal time, to the
// nanosecond. At one instant packets are delivered first, in the order in which
// they were sent; then what At planned, in the order of planning; then timeouts, in
// the order of the nodes. So one seed and one sequence of calls give one sequence
// of events, on every machine. Once the largest load has been seen nothing
// allocates per packet.
//
// # Limitations
//
// Nodes take no time to compute: what a transport costs cannot be seen here, and a
// link without rate and delay carries any amount in no time, which Run refuses as
// Spinning. Frames are counted as the other backends do, Ethernet header and IP
// header without options.
//
// A link that shall tell senders what is too big is silent: QUIC has no ear for it.
// What the model corrupts is thrown away as by the receiver's UDP checksum.
package simnet
