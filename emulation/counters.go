package emulation

// DropReason says why a direction dropped a packet.
type DropReason uint8

// The reasons.
const (
	DropMTU       DropReason = iota // larger than the MTU
	DropLoss                        // random or listed loss
	DropQueue                       // the queue was full
	DropAQM                         // CoDel, to keep the queue short
	DropBlackhole                   // the direction was told to swallow everything
	numDropReasons
)

// String returns the reason as it stands in JSON and tables.
func (r DropReason) String() string {
	switch r {
	case DropMTU:
		return "mtu"
	case DropLoss:
		return "loss"
	case DropQueue:
		return "queue"
	case DropAQM:
		return "aqm"
	case DropBlackhole:
		return "blackhole"
	}
	return "unknown"
}

// Counters is what a direction has counted since it was made. Packets and bytes
// that arrived or were added as copies equal those departed, dropped and still held.
type Counters struct {
	ArrivedPackets    uint64
	ArrivedBytes      uint64
	DuplicatedPackets uint64 // copies added
	DuplicatedBytes   uint64
	DepartedPackets   uint64
	DepartedBytes     uint64
	Dropped           [numDropReasons]uint64 // packets, by DropReason
	DroppedBytes      uint64
	HeldPackets       int // waiting, in transmission or in flight
	HeldBytes         ByteCount
	QueuedPackets     int // of these, waiting for their transmission to start
	QueuedBytes       ByteCount

	MarkedPackets    uint64 // made CE
	CorruptedPackets uint64 // departed with a bit to flip
	ReorderedPackets uint64 // sent without delay
}

// DroppedPackets returns the packets dropped for any reason.
func (c Counters) DroppedPackets() uint64 {
	var n uint64
	for _, d := range c.Dropped {
		n += d
	}
	return n
}

// Plus returns the sum of what two directions have counted, or one in two lives.
func (c Counters) Plus(o Counters) Counters {
	c.ArrivedPackets += o.ArrivedPackets
	c.ArrivedBytes += o.ArrivedBytes
	c.DuplicatedPackets += o.DuplicatedPackets
	c.DuplicatedBytes += o.DuplicatedBytes
	c.DepartedPackets += o.DepartedPackets
	c.DepartedBytes += o.DepartedBytes
	for i := range c.Dropped {
		c.Dropped[i] += o.Dropped[i]
	}
	c.DroppedBytes += o.DroppedBytes
	c.HeldPackets += o.HeldPackets
	c.HeldBytes += o.HeldBytes
	c.QueuedPackets += o.QueuedPackets
	c.QueuedBytes += o.QueuedBytes
	c.MarkedPackets += o.MarkedPackets
	c.CorruptedPackets += o.CorruptedPackets
	c.ReorderedPackets += o.ReorderedPackets
	return c
}
