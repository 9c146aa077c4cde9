package capture

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// ringBlock holds the longest packet that an interface is handed whole, 64 KB, a
	// few times.
	ringBlock = 256 << 10
	// retireAfter is how long the kernel may keep a block with packets in it open. It
	// looks once in that time, so that a packet is seen after twice that, or three
	// times where the clock is coarse.
	retireAfter = 4 * time.Millisecond
	// addressOffset is where a packet's sockaddr_ll stands behind its header:
	// TPACKET_ALIGN(sizeof(struct tpacket3_hdr)), linux/if_packet.h.
	addressOffset = (unsafe.Sizeof(unix.Tpacket3Hdr{}) + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1)
)

// ring is a TPACKET_V3 ring: blocks that the kernel fills with packets of any
// length and hands over one after the other
// (Documentation/networking/packet_mmap.rst).
type ring struct {
	memory []byte
	blocks int
	block  int    // that comes next, or is being read
	left   uint32 // packets in it that were not read; 0 while none is being read
	offset uint32 // of the next packet in it
}

// packet is a captured packet. Its data is lent until the ring's next.
type packet struct {
	data     []byte
	length   int // on the wire; data may be shorter
	at       int64
	outgoing bool
}

// newRing makes the socket's ring, of about size bytes.
func newRing(fd, size int) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("choose the ring's version: %w", err)
	}
	blocks := max(size/ringBlock, 2)
	const frame = 2048 // of no meaning to this version, but checked
	req := unix.TpacketReq3{
		Block_size: ringBlock, Block_nr: uint32(blocks),
		Frame_size: frame, Frame_nr: uint32(ringBlock / frame * blocks),
		Retire_blk_tov: uint32(retireAfter.Milliseconds()),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("ask for %d blocks of %d bytes: %w", blocks, ringBlock, os.NewSyscallError("setsockopt", err))
	}
	memory, err := unix.Mmap(fd, 0, blocks*ringBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d blocks of %d bytes: %w", blocks, ringBlock, err)
	}
	return &ring{memory: memory, blocks: blocks}, nil
}

func (r *ring) close() error { return unix.Munmap(r.memory) }

// header returns the header of the block that comes next.
func (r *ring) header() *unix.TpacketHdrV1 {
	description := (*unix.TpacketBlockDesc)(unsafe.Pointer(&r.memory[r.block*ringBlock]))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&description.Hdr))
}

// peek returns the oldest packet, false when the kernel has handed none over. The
// same one comes again until next.
func (r *ring) peek() (packet, bool) {
	for r.left == 0 {
		h := r.header()
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return packet{}, false
		}
		r.left, r.offset = h.Num_pkts, h.Offset_to_first_pkt
		if r.left == 0 {
			r.release() // a block without packets: never seen, but not ruled out
		}
	}
	frame := r.memory[r.block*ringBlock+int(r.offset) : (r.block+1)*ringBlock]
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(unsafe.SliceData(frame)))
	address := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&frame[addressOffset]))
	return packet{
		data:     frame[h.Mac : uint32(h.Mac)+h.Snaplen],
		length:   int(h.Len),
		at:       int64(h.Sec)*1e9 + int64(h.Nsec),
		outgoing: address.Pkttype == unix.PACKET_OUTGOING,
	}, true
}

// next leaves the packet that peek returned.
func (r *ring) next() {
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.memory[r.block*ringBlock+int(r.offset)]))
	r.offset += h.Next_offset
	if r.left--; r.left == 0 {
		r.release()
	}
}

// release hands the block back to the kernel.
func (r *ring) release() {
	atomic.StoreUint32(&r.header().Block_status, unix.TP_STATUS_KERNEL)
	if r.block++; r.block == r.blocks {
		r.block = 0
	}
}
