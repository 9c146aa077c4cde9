package proto

import (
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// tuple is a path's two addresses.
type tuple struct {
	local, remote netip.AddrPort
}

// path is all state that a path has of its own: its addresses, packet numbers,
// recovery, and what it is known to carry. Path 0 is the one of the handshake; it
// alone uses the Initial and Handshake spaces. Of a path that is not open yet there are
// the connection IDs only.
type path struct {
	id    wire.PathID
	state PathState
	tuple

	spaces [recovery.NumSpaces]space
	det    *recovery.Detector
	issued localIDs  // connection IDs that the peer may use on this path
	peer   remoteIDs // connection IDs that the peer gave us for it
	mtu    pmtu
	amp    amplification
	ecn    bool // packets are to be marked where the path allows it

	// challenge validates the tuple in use; leaving the one before, while a peer's
	// move is not settled (RFC 9000, section 9.3).
	challenge    challenge
	leaving      challenge
	owed         owedResponses     // answers to the peer's challenges
	previous     tuple             // last validated tuple, to go back to
	large        wire.PacketNumber // newest 1-RTT packet above the smallest size, probes aside
	suspectAfter clock.Time        // before which a probe timeout is no evidence of a black hole
	usedID       wire.ConnID       // ours that the peer's last packet bore
	moved        bool              // to another address, since recovery last began anew

	// probed is the tuple other than ours that the peer last sent from, and what may be
	// sent there: answers to its challenges.
	probed    tuple
	probedAmp amplification

	// Of several paths.
	weight             float64
	backup, peerBackup bool // what each side would rather
	status             statusFrame
	peerStatus         uint64 // 1 + the newest sequence number from the peer; 0: none
	abandonment        abandonment
	missing            clock.Time // a client opened it without a connection ID: until when one is waited for; 0: none is
	copies             copyQueue
	feedback           feedback
	vitals             vitals
	phase              string // of congestion control, as last traced
	picks              uint64 // trains of data
	failures           int
	reinjected         uint64 // bytes sent here that another path owed
	stuck              bool   // nothing fitted into its packets: the next decision passes it by

	sentBytes, receivedBytes     uint64
	sentPackets, receivedPackets uint64
	lostPackets                  uint64
	blockedUntil                 clock.Time // pacing: when the next train may leave
}

// space is one packet number space of a path (RFC 9000, section 12.3).
type space struct {
	next   wire.PacketNumber // of the next packet sent
	skip   wire.PacketNumber // number to leave out, RFC 9000, section 21.4
	acks   acks
	log    refLog
	crypto cryptoStream // of path 0

	multi     bool // SpaceApplication: its packets may carry acknowledgements of other paths
	discarded bool
}

// mark returns what packets on the path carry: ECT(0) while the path is tested and
// once it has passed (RFC 9000, section 13.4.2.2: MUST stop when it fails).
func (p *path) mark() wire.ECN {
	if p.ecn && p.det.ECNCapable() {
		return wire.ECT0
	}
	return wire.NotECT
}
