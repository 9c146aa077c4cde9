// Package relay is the user-space backend of a wire: it moves Ethernet frames
// between two interfaces and runs the impairment model on them in real time.
//
//	node A ─veth─ port ─ring─> [ Direction: up   ] ─sendmmsg─> port ─veth─ node B
//	              port <──────  [ Direction: down ] <─ring───── port
//
// On a wire with OffloadOn a frame may be a unit of up to 64 KiB that stands for
// many wire packets (TCP and UDP segmentation offload). The model sees each wire
// packet; those of one unit that leave at the same wake-up with one fate leave as
// one unit again:
//
//	port ─recvmmsg─> intake ─> unit ─split─> [ Direction ] ─> run ─> outbox ─sendmmsg─> port
//
// It is not a switch: what comes in at one end leaves at the other, whatever its
// addresses. It enters no namespace: the lab opens the ports inside one
// (OpenPort) and hands their files to a process of its own (Child), which lives
// until it is told to end or its last interface is gone, and outlives the lab's
// command. The process answers questions on a unix socket (Client).
//
// Files of both kinds of wires: port.go opens the packet sockets, ring.go receives, send.go sends;
// forwarder.go is one direction's thread, with arrivals, depart.go its
// departures, mark.go what the model does to their bytes, icmp.go the messages that
// they are too big, rest.go its waits; pool.go its buffers, clock.go its time,
// lateness.go its histogram. Of units: super.go is the direction's part, intake.go
// receives, vnet.go reads and writes the header before each frame, segment.go takes
// frames apart and writes the headers of what leaves, unit.go keeps them while the
// model holds a part, run.go puts them together and sends, checksum.go sums up.
//
// What the model is in the course of time: start.go is the
// instant from which all counts, course.go a model with its timeline, lane.go the
// courses of a direction, timeline.go the forwarder's part. wire.go joins two
// directions, serve.go all wires, child.go is the process, spec.go what it is told.
// request.go, control.go, client.go and status.go are the questions and answers,
// command.go what changes a running relay, mirror.go what it is checked against,
// droplog.go the drops one by one.
//
// # Invariants
//
// A frame that reached a port is forwarded as it was, or as the model was asked to
// change it, or is in one counter:
// the model's, when the path dropped it; Cut, when its end of the wire was set down;
// RelayDrops or SendErrors, when the relay
// failed. An overloaded relay therefore never looks like a lossy path.
//
// A frame's arrival is the kernel's time stamp and its departure the model's
// ideal time, so that a late wake-up makes one frame late and nothing slower.
// How late each frame left is in the histogram, by wire packets.
//
// No wire packet leaves before its ideal time. A run is what is due at one wake-up,
// so that being part of one makes no packet later: it is late by the time since the
// wake-up before, departGap (50 us) where the thread keeps up.
//
// The bytes of a unit are written to by nobody once it has arrived; wire packets refer
// to them. A corrupt packet is a copy.
//
// All wires have one clock, CLOCK_MONOTONIC from one start, for traces, steps and
// timelines. A change takes effect in the model at its own time: the arrivals and
// departures before it are finished first, those after it wait for it, and what they
// become does not depend on when the thread wakes. A command (Client.Set, Client.Arm)
// is given to all its directions before the instant for which it is meant, and no
// direction passes that instant without it.
//
// A direction's thread owns its model, ring, buffers and sender. It allocates
// nothing once they have grown, but for some hundred bytes with a change, and waits
// for no lock: others read a snapshot that it writes when nobody holds it, commands
// lie in a pointer that it looks at, and the drops in a ring that it writes without
// looking for readers.
//
// # Limitations
//
// With OffloadOff the endpoints' checksum and segmentation offloads must be off: frames
// that are no finished packets are refused and counted. VLAN tags are refused.
//
// With OffloadOn the wire packets of a unit arrive at one time, as from an interface
// far faster than the wire, and a receiver gets those of a run at one time. Units other
// than TCP over IPv4 or IPv6 and UDP_SEGMENT's are refused, those with IPv6 extension
// headers and SCTP's checksums left to do too; before Linux 6.2 the kernel refuses
// UDP's (CarriesUDPUnits). IPv4 identifications are counted up in a unit, as Linux
// does. What the socket's queue has no room for, and what the kernel cannot describe,
// is counted by frames: how many wire packets they were is unknown.
//
// Frames that the veth drops before the socket sees them, or behind it, are in
// the tx_dropped of the interface that sent them, not here.
//
// The wire does not fragment: an IPv4 packet that is too big and may be fragmented is
// dropped in silence, like any that no message may be sent about. The messages come
// from the packet's destination, for the wire has no address, and take no time.
//
// With StartFirstPacket, two first packets that come in on two wires within
// microseconds may count from the later one. What nodes say by themselves (ARP,
// neighbour discovery, MLD, IGMP) does not start the clock, but is emulated like all
// else. Before the start a trace or schedule runs from the first frame, and begins
// again with it.
//
// A change to another trace or schedule costs the thread one look through it. The log
// has the drops of the emulated path; those of the relay itself are counted only.
//
// A change of an interface's MTU is seen by the next relay only. Each direction
// takes 8 MiB for its ring (up to 32 MiB for jumbo frames; with OffloadOn up to 64 MiB
// for what waits in its socket), and up to 256 MiB for held packets. The ring covers
// about 30 ms of not being scheduled at 1.5 Gbit/s.
//
// The threads ask for SCHED_FIFO. Where it is refused they are late by a time
// slice under load; the status then has realtime false. A step of the wall clock
// can misplace the arrivals of one batch.
package relay
