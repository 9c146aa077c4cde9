package emulation

// Packet is one packet in a direction.
type Packet struct {
	// Size is what the rate and the queue count: the bytes of the link-layer
	// frame. Its range is 0 to 1 MiB; the model drops any other as DropMTU.
	Size ByteCount
	// IPSize is what the MTU and a capacity trace count: the bytes of the IP packet.
	IPSize int
	// Data travels with the packet and is never read. The direction keeps it
	// from an accepting Enqueue until the Dequeue or Discarded that returns it. It
	// may be nil.
	Data []byte
	// ECN is the packet's codepoint; one that is capable may come out as CE.
	ECN ECN
	// Marks say on departure what was done to the packet; they are ignored on arrival.
	Marks Marks
	// Flip says which bit a corrupt packet has wrong: take it modulo the number of
	// bits that may be.
	Flip uint32
}

const maxPacketSize ByteCount = 1 << 20

// ECN is the ECN field of an IP header (RFC 3168, section 5).
type ECN uint8

// The codepoints.
const (
	NotECT ECN = iota
	ECT1
	ECT0
	CE
)

// Marks is what happened to a packet on its way.
type Marks uint8

// The marks.
const (
	Duplicated Marks = 1 << iota // it is the copy of another
	Corrupted                    // one bit is to be flipped
	// Shared says that another packet, still held, has the same Data: it may be
	// read and copied now, but neither changed nor reused.
	Shared
)

// Verdict is what became of an arriving packet. Reason and TellMTU have a meaning
// only when the packet was not accepted; the packet and its Data are then still
// the caller's.
type Verdict struct {
	Accepted bool
	Reason   DropReason
	// TellMTU is the MTU that an ICMP message shall tell the sender: fragmentation
	// needed (RFC 1191, section 4) or packet too big (RFC 4443, section 3.2). Zero:
	// no message.
	TellMTU int
}
