package relay

import (
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ethernetHeader = 14
	sendBuffer     = 4 << 20

	ringFrames   = 4096     // covers 30 ms of not being scheduled at 130 000 packets/s
	maxRingBytes = 32 << 20 // jumbo frames get fewer slots
	allRingBytes = 1 << 30  // in all: with more than 64 wires of MTU 1500 each ring gets fewer; a power of two
	minRingBlock = 1 << 16
	// The kernel writes the frame at most this far into its slot: tpacket2_hdr,
	// sockaddr_ll and their alignment (tpacket_rcv in net/packet/af_packet.c).
	frameHeadroom = 96
)

// receiveRing is a TPACKET_V2 ring: slots of one size, filled by the kernel in
// order and handed back in the same order. The kernel wakes a poller with each
// frame; TPACKET_V3 would do so a block at a time, late by up to its timer.
//
// Up to Linux 5.5 two CPUs filling neighbouring slots could hand them over out
// of order; 61fad6816fc1 (5.6) fixed that.
type receiveRing struct {
	memory []byte
	slot   int // bytes
	slots  int
	next   int
}

// frame is one received frame. Its data is lent until the ring's release.
type frame struct {
	data     []byte
	length   int // on the wire; more than len(data) when the slot was too small
	status   uint32
	realTime int64 // arrival on CLOCK_REALTIME, ns
}

// ringLimit returns how many bytes each of so many rings may have: a power of two.
func ringLimit(rings int) int {
	return min(maxRingBytes, allRingBytes>>bits.Len(uint(max(rings, 1)-1)))
}

// newReceiveRing makes the socket's ring, for frames up to maxFrame bytes, in at most
// limit bytes, a power of two.
func newReceiveRing(fd, maxFrame, limit int) (*receiveRing, error) {
	slot := 1 << bits.Len(uint(maxFrame+frameHeadroom-1))
	slots := min(ringFrames, limit/slot)
	block := max(slot, minRingBlock)
	req := unix.TpacketReq{
		Block_size: uint32(block),
		Block_nr:   uint32(slots * slot / block),
		Frame_size: uint32(slot),
		Frame_nr:   uint32(slots),
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_RX_RING,
		uintptr(unsafe.Pointer(&req)), unsafe.Sizeof(req), 0)
	if errno != 0 {
		return nil, fmt.Errorf("ask for %d slots of %d bytes: %w", slots, slot, os.NewSyscallError("setsockopt", errno))
	}
	memory, err := unix.Mmap(fd, 0, slots*slot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d slots of %d bytes: %w", slots, slot, err)
	}
	return &receiveRing{memory: memory, slot: slot, slots: slots}, nil
}

func (r *receiveRing) close() error { return unix.Munmap(r.memory) }

// peek returns the oldest frame, false when there is none. The same frame comes
// again until release.
func (r *receiveRing) peek() (frame, bool) {
	slot := r.memory[r.next*r.slot : (r.next+1)*r.slot]
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(unsafe.SliceData(slot)))
	status := atomic.LoadUint32(&h.Status)
	if status&unix.TP_STATUS_USER == 0 {
		return frame{}, false
	}
	return frame{
		data:     slot[h.Mac : uint32(h.Mac)+h.Snaplen],
		length:   int(h.Len),
		status:   status,
		realTime: int64(h.Sec)*1e9 + int64(h.Nsec),
	}, true
}

// release hands the oldest frame's slot back to the kernel.
func (r *receiveRing) release() {
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.memory[r.next*r.slot]))
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
	if r.next++; r.next == r.slots {
		r.next = 0
	}
}
