package proto

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// frameKind is what a frameRef stands for.
type frameKind uint8

// The kinds that are noted: what must be sent again when lost, or acted on when
// acknowledged.
const (
	refStream frameKind = iota
	refCrypto
	refAck // largest in off: older received ranges need no more mention
	refPing
	refResetStream
	refStopSending
	refMaxData
	refMaxStreamData
	refMaxStreams // direction in off
	refDataBlocked
	refStreamDataBlocked
	refStreamsBlocked // direction in off
	refNewConnectionID
	refRetireConnectionID
	refNewToken
	refHandshakeDone
	refPathChallenge
	refDatagram
	refAckFrequency
	refPathAbandon     // path in n, as in those below and those about connection IDs
	refPathStatus      // sequence number in off
	refMaxPathID       // in off
	refPathsBlocked    // limit in off
	refPathCIDsBlocked // next sequence number in off
	refDone            // settled: acknowledged or lost
)

// copyState is whether a frame's data leaves on another path as well.
type copyState uint8

const (
	notCopied  copyState = iota
	copyQueued           // it waits there: when the frame is lost, its data is sent again as usual
	copySent             // it left: when the frame is lost, the copy stands for it
)

// frameRef is what a sent packet carried: enough to send the newest state again
// when the packet is lost. off and n are a byte range where the kind has one, else
// a sequence number or nothing.
type frameRef struct {
	kind   frameKind
	fin    bool
	copy   bool      // sent while another path owed it
	copied copyState // whether its data is to be sent, or was, on another path
	n      uint32
	off    uint64
	stream *Stream // of stream frames, else nil
}

// builder collects the frames of one packet. Frames are appended to b as far as
// room allows; each append method of a component returns false when its frame did
// not fit, which leaves the packet as it was.
type builder struct {
	b     []byte // the train so far; the packet is at its end
	start int    // where in b the packet begins
	body  int    // where its frames begin
	end   int    // length that b must not pass: the packet's end less the AEAD's tag

	path   *path // the packet leaves on
	kind   wire.PacketType
	number wire.PacketNumber
	pnLen  int
	phase  uint8

	log   *refLog
	first uint64 // index of the packet's first reference
	n     uint32 // references logged for the packet

	ackEliciting bool
	padded       bool
	mtuProbe     bool
}

// room returns how many more bytes fit.
func (w *builder) room() int { return w.end - len(w.b) }

// added says that a frame of type t was appended.
func (w *builder) added(t wire.FrameType) {
	w.ackEliciting = w.ackEliciting || t.AckEliciting()
}

// note logs a reference for the packet.
func (w *builder) note(r frameRef) {
	w.log.push(r)
	w.n++
}

// empty reports whether the packet has no frames.
func (w *builder) empty() bool { return len(w.b) == w.body }

// pad fills the packet with PADDING frames up to size bytes, its tag included.
func (w *builder) pad(size int) {
	for len(w.b) < w.start+size-tagSize && len(w.b) < w.end {
		w.b = append(w.b, 0)
		w.padded = true
	}
}

// refLog is a FIFO of references. Each has an index that never changes; packets
// keep the index of their first. Its memory is a ring that grows to the largest
// number in flight and stays.
type refLog struct {
	ring  []frameRef // length a power of two, or 0
	first uint64     // index of the oldest one kept
	next  uint64     // index of the next one
}

func (l *refLog) push(r frameRef) {
	if l.next-l.first == uint64(len(l.ring)) {
		l.grow()
	}
	l.ring[l.next&uint64(len(l.ring)-1)] = r
	l.next++
}

// at returns the reference with that index, which must be kept still.
func (l *refLog) at(i uint64) *frameRef { return &l.ring[i&uint64(len(l.ring)-1)] }

// cut takes back the references from index i on: their packet was not sent.
func (l *refLog) cut(i uint64) {
	for ; l.next > i; l.next-- {
		*l.at(l.next - 1) = frameRef{}
	}
}

// forget drops all references below index i.
func (l *refLog) forget(i uint64) {
	for ; l.first < i; l.first++ {
		*l.at(l.first) = frameRef{}
	}
}

func (l *refLog) grow() {
	bigger := make([]frameRef, max(64, 2*len(l.ring)))
	for i := l.first; i < l.next; i++ {
		bigger[i&uint64(len(bigger)-1)] = *l.at(i)
	}
	l.ring = bigger
}
