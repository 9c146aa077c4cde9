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
// departures, mark.go what the model does to their bytes, rest.go its waits; pool.go its buffers, clock.go its time,
// lateness.go its histogram. Of units: super.go is the direction's part, intake.go
// receives, vnet.go reads and writes the header before each frame, segment.go takes
// frames apart and writes the headers of what leaves, unit.go keeps them while the
// model holds a part, run.go puts them together and sends, checksum.go sums up.
// wire.go joins two directions, serve.go all wires,
// child.go is the process, spec.go what it is told. control.go, client.go and
// status.go are the questions and answers.
//
// # Invariants
//
// A frame that reached a port is forwarded as it was, or as the model was asked to
// change it, or is in one counter:
// the model's, when the path dropped it; RelayDrops or SendErrors, when the relay
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
// A direction's thread owns its model, ring, buffers and sender. It allocates
// nothing once they have grown, and waits for no lock: others read a snapshot
// that it writes when nobody holds it.
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
// The relay sends nothing of its own: the message that a packet is too big is
// refused when the spec asks for it.
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
