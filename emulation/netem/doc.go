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
// its own, and Check says where the two cannot agree. It makes no namespace that
// outlives a call, and no veth; the lab does, and hands in namespaces by file
// descriptor.
//
// # Files
//
// capabilities.go says what the backend can do and refuses the rest; probe.go
// asks the kernel; translate.go turns impairments into netem's parameters and
// back (pure); qdisc.go sets and reads them; bridge.go joins two interfaces;
// namespace.go is about threads. The tests that need the kernel's netem are in
// kernel_test.go and run inside User-Mode Linux (package uml).
//
// # How netem's parameters come about
//
// Rate is in bytes per second, with the 14 bytes of the Ethernet header counted,
// as in the model. Loss is a fraction of 2^32.
//
// netem has one limit, in packets, for the delay line and the queue together: a
// packet is queued until its departure time, and a rate is no more than an
// addition to that time (sch_netem.c, netem_enqueue). So
//
//	limit = ceil(rate × (delay + jitter) / frame) + queue in frames + 1
//
// where frame is the largest frame of the link, MTU + 14 bytes: what the line
// holds, what may wait, and the one in transmission. It is exact for a stream of
// largest packets. Smaller packets fill the limit with fewer bytes: a queue in
// bytes or in milliseconds is then shorter than asked, and acknowledgements in
// flight take places away. Without a rate nothing waits, without a queue the
// queue has no end: then the limit is the line and 2^20 packets more, about
// 2.5 GiB of kernel memory at the worst.
//
// Order: with a rate, netem starts the transmission of a packet at the later of
// its arrival plus delay and the departure of the packet before it, so jitter
// cannot reorder. Without a rate it sorts packets by arrival plus delay, and
// jitter reorders freely. Our jitter never does; where no rate is asked for,
// netem is given 1 Tbit/s, which costs 12 ns for a packet of 1500 bytes and keeps
// the order.
//
// # Limits
//
//   - Loss and a full queue share one counter in the kernel: Counters.Drops.
//   - The kernel's packet counters are 32 bits wide here, and wrap.
//   - A change keeps the packets in flight, with the departure times they have.
//   - The same seed gives the same losses and jitter only where the kernel takes a
//     seed (Linux 6.6); State.Seeded says whether this one did.
//   - netem counts socket buffers. The endpoints' segmentation offloads must be
//     off, or a loss takes a train of packets at once.
//   - A bridge keeps link-local control frames (01:80:c2:00:00:00 to 0f: spanning
//     tree, pause, LLDP) to itself.
package netem
