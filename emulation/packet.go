package emulation

// Packet is one packet in a direction.
type Packet struct {
	// Size is what the rate and the queue count: the bytes of the link-layer
	// frame. Its range is 0 to 1 MiB; the model drops any other as DropMTU.
	Size ByteCount
	// IPSize is what the MTU is held against: the bytes of the IP packet.
	IPSize int
	// Data travels with the packet and is never read. The direction keeps it
	// from an accepting Enqueue until the Dequeue that returns it. It may be nil.
	Data []byte
}

const maxPacketSize ByteCount = 1 << 20

// Verdict is what became of an arriving packet. Reason has a meaning only when
// the packet was not accepted; the packet and its Data are then still the
// caller's.
type Verdict struct {
	Accepted bool
	Reason   DropReason
}
