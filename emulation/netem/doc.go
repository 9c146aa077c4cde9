// Package netem is the kernel backend of a wire: the impairments of a direction
// as a netem qdisc, set over netlink on the interface that the direction leaves
// the wire by, and a bridge that joins the wire's two interfaces.
//
//	node A ── veth ══ [a]─bridge─[b] ══ veth ── node B        wire namespace: [a], bridge, [b]
//	                  down ⇠      ⇢ up
//
// Up, from the first endpoint to the second, is the egress of b; down is the
// egress of a. The qdisc stands in the wire's namespace and never on a node's
// own egress: there it would push back on the sender's socket (TCP small queues)
// and hide drops from it.
//
// It is not the model (package emulation) and does not run it: the kernel has
// its own, Check says what it has not, and Capabilities where the two differ. It makes
// no namespace that outlives a call, and no veth; the lab does, and hands in namespaces
// by file descriptor.
//
// # Files
//
// capabilities.go says what the backend can do and refuses the rest; probe.go
// asks the kernel; translate.go turns impairments into netem's parameters and
// back, with limit.go for its one limit and tables.go for what it draws from tables
// (all pure); raw.go has those parameters as the kernel lays them out, conn.go the
// socket, and qdisc.go sets, changes and reads. bridge.go joins two interfaces;
// namespace.go is about threads.
//
// The tests that need the kernel's netem are in the files *kernel_test.go and run
// inside User-Mode Linux (package uml). They hold it to theory and to the model with
// the same arrivals (package emulationtest), as distributions: their kernel takes no
// seed.
//
// # How netem's parameters come about
//
// Rate is in bytes per second, with the 14 bytes of the Ethernet header counted,
// as in the model. Probabilities are fractions of 2^32. netem wants to know with which
// probability a packet is lost in the good state (1-k), and with which it passes in the
// bad one (h).
//
// netem has one limit, in packets, for the delay line and the queue together: a
// packet is queued until its departure time, and a rate is no more than an
// addition to that time (sch_netem.c, netem_enqueue). So
//
//	limit = ceil(rate × mean delay / frame) + queue in frames + 1
//
// where frame is the largest frame of the link, MTU + 14 bytes: what the line
// holds, what may wait, and the one in transmission. It is exact for a stream of
// largest packets that keeps the link busy. Smaller packets fill the limit with fewer
// bytes: a queue in bytes or in milliseconds is then shorter than asked, and
// acknowledgements in flight take places away. A burst into an idle link finds the
// line empty, and its part of the limit is one more queue. A queue shorter than what
// jitter adds to the mean is made as long as that, lest it drops what does not wait.
// Without a rate nothing waits, without a queue the queue has no end: then the limit is
// the line and 2^20 packets more, about 2.5 GiB of kernel memory at the worst.
//
// Order: with a rate, netem starts the transmission of a packet at the later of
// its arrival plus delay and the departure of the packet before it, so jitter
// cannot reorder. Without a rate it sorts packets by arrival plus delay, and
// jitter reorders freely. Our jitter never does; where no rate is asked for,
// netem is given 1 Tbit/s, which costs 12 ns for a packet of 1500 bytes and keeps
// the order.
//
// Jitter comes from a table, the model's own: uniform jitter, too, since a change
// cannot take a table back, only put another in its place. Slots come from a table as
// well; they can be taken back. So every change is made in place.
//
// Copies: netem decides first over a copy and then over a loss, which takes the copy
// alone if there is one; a copy is then a packet like any other, which may be lost,
// corrupted and delayed by itself. With independent loss, probabilities can be found
// that come to the same as the model's (kernelLoss). With a loss chain they cannot.
//
// # Changes
//
// Change replaces the whole set under the qdisc's lock. What cannot go on: a loss chain
// starts in its good state, the gap of reordering counts anew, a packet that waits keeps
// the departure time that the old rate gave it. What is changed often should not lose by
// a chain: a burst does not outlast a change. Where the kernel takes a seed it takes one
// with every change, and kernels before 2026 draw one where none is given: each Change
// brings one that follows from that in force, so that the losses of a run with changes
// at the same packets are the same.
//
// # Limitations
//
//   - What Capabilities refuses: an MTU below the link's, ICMP too big, the loss of
//     every n-th or listed packets, drop-head, CoDel, CE marks, capacity traces; steps
//     by itself. The relay does all of it.
//   - The model serialises, then delays with jitter; netem delays with jitter, then
//     serialises. Jitter is lost to a packet that waits behind others.
//   - A packet that goes ahead (reorder) skips the queue and the rate, and leaves the
//     rate whole to the others.
//   - Slots come behind rate and delay. A burst leaves at once, whatever the rate; the
//     time to the next slot counts from it. While a packet's delay runs, each arrival
//     plans a slot that would come too early anew, so that the wait for a slot may be
//     over sooner after the delay than in the model. Without rate and delay they agree.
//   - Corruption flips a bit of the frame's linear part, its headers included (the model
//     flips one of the payload). Of a TCP segment sent from pages that is the headers.
//     One in a hundred of full-size frames that it corrupts has a wrong Ethernet header.
//   - netem marks CE in the place of a random loss. The model has no such thing, and
//     nothing sets it.
//   - Loss and a full queue share one counter in the kernel: Counters.Drops. A black hole
//     is a loss of 1 to it.
//   - A jitter's table is never told: Read knows no distribution, and with jitter no
//     queue.
//   - The kernel's counter of drops is 32 bits wide, and wraps.
//   - The same seed gives the same losses and jitter only where the kernel takes a
//     seed (Linux 6.6); State.Seeded says whether this one did. The bit that is flipped
//     has none.
//   - netem counts socket buffers. The endpoints' segmentation offloads must be
//     off, or a loss takes a train of packets at once.
//   - A bridge keeps link-local control frames (01:80:c2:00:00:00 to 0f: spanning
//     tree, pause, LLDP) to itself.
package netem
