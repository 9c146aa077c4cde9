package udpio

import (
	"errors"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a socket is made with. The zero value is ready to use.
type Config struct {
	// Kernel buffers, bytes; 0: 7 MiB. The system's limits are exceeded where the
	// process may. A buffer that is larger already stays.
	ReadBuffer, WriteBuffer int
	// Disable has true for each feature that must not be used: for tests, and for
	// machines where one misbehaves.
	Disable Features
}

// defaultBuffer is 28 ms at 2 Gbit/s: longer than a reader is ever kept off the CPU.
const defaultBuffer = 7 << 20

// Features is what a socket can do.
type Features struct {
	GSO        bool // a train leaves in one system call (UDP_SEGMENT)
	GRO        bool // a train arrives in one (UDP_GRO)
	RecvMMsg   bool // several datagrams arrive in one
	SendMMsg   bool // several datagrams leave in one
	ECN        bool // marks are told and set
	PacketInfo bool // the local address of each datagram is told and chosen
	// Kernel buffers got, bytes of payload and overhead that they hold: what was asked
	// for, if it was granted. Ignored in Config.Disable.
	ReadBuffer, WriteBuffer int
}

const (
	// maxTrain is the longest train: IPv4's length field less its own header and UDP's.
	// A longer one leaves in several.
	maxTrain = 65535 - 20 - 8
	// maxSegments is Linux's UDP_MAX_SEGMENTS, at its lowest: newer kernels have 128.
	maxSegments = 64
	// mmsgSegments is how many datagrams a train without UDP_SEGMENT should have: one
	// more gains less and less.
	mmsgSegments = 32
)

// maxDatagram is room for the largest UDP payload, and for the largest train of GRO.
const maxDatagram = 64 << 10

// ErrTooLarge says that a datagram is larger than the local interface takes. None of
// that size was sent.
var ErrTooLarge = errors.New("datagram larger than the interface's MTU")

// errSmallPool is a defect of the caller.
var errSmallPool = errors.New("pool with buffers of less than 64 KiB")

// Message is a train to send.
type Message struct {
	// Data is the datagrams, back to back; borrowed.
	Data []byte
	// Segment is the size of each but the last, which may be shorter. 0: one datagram.
	Segment int
	// Local is the address to send from, Remote the one to send to. Local counts only
	// on a wildcard socket with PacketInfo; its port never does.
	Local, Remote netip.AddrPort
	ECN           wire.ECN
}

// segment returns the size of the first datagram of m.
func (m *Message) segment() int {
	if m.Segment <= 0 || m.Segment > len(m.Data) {
		return len(m.Data)
	}
	return m.Segment
}

// datagrams returns how many datagrams of size segment n bytes are.
func datagrams(n, segment int) int {
	if segment <= 0 {
		return 0
	}
	return (n + segment - 1) / segment
}

// Received is a received train. IPv4 addresses are plain, never mapped into IPv6.
type Received struct {
	// Data is the datagrams, back to back, in Buffer.
	Data []byte
	// Segment is the size of each but the last, which may be shorter.
	Segment       int
	Local, Remote netip.AddrPort
	ECN           wire.ECN
	Buffer        *buf.Buffer
}
