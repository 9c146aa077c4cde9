package relay

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The candidates for units: what they lend and take begins with the vnet header.

func newUnitMmsgReceiver(p *Port) (receiver, error) {
	if err := p.startUnits(); err != nil {
		return nil, err
	}
	s := newSender(p.fd()) // the same array of messages serves for receiving
	for i := range intakeBatch {
		s.add(make([]byte, vnetSize+maxUnit), 0)
		s.messages[i].header.Iov = &s.parts[i]
	}
	return func(f func([]byte)) error {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd()), uintptr(unsafe.Pointer(&s.messages)),
			intakeBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			return nil
		}
		if errno != 0 {
			return errno
		}
		for i := range n {
			f(s.buffers[i][:s.messages[i].sent])
		}
		return nil
	}, nil
}

// newUnitV2Receiver has slots of 128 KiB, 256 of them.
func newUnitV2Receiver(p *Port) (receiver, error) {
	for opt, v := range map[int]int{unix.PACKET_VERSION: unix.TPACKET_V2, unix.PACKET_VNET_HDR: 1} {
		if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, opt, v); err != nil {
			return nil, err
		}
	}
	ring, err := newReceiveRing(p.fd(), maxUnit+vnetSize, maxRingBytes)
	if err != nil {
		return nil, err
	}
	return func(f func([]byte)) error {
		for range intakeBatch {
			fr, ok := ring.peek()
			if !ok {
				return nil
			}
			// The kernel writes the header in front of the frame (tpacket_rcv).
			f(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(fr.data)), -vnetSize)), vnetSize+len(fr.data)))
			ring.release()
		}
		return nil
	}, p.bindAll()
}

// newUnitV3Receiver has blocks of 256 KiB that the kernel hands over when they are
// full or 1 ms old, the shortest that it offers.
func newUnitV3Receiver(p *Port) (receiver, error) {
	const block, blocks = 1 << 18, 128
	for opt, v := range map[int]int{unix.PACKET_VERSION: unix.TPACKET_V3, unix.PACKET_VNET_HDR: 1} {
		if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, opt, v); err != nil {
			return nil, err
		}
	}
	err := unix.SetsockoptTpacketReq3(p.fd(), unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: block, Block_nr: blocks, Frame_size: 2048, Frame_nr: block * blocks / 2048, Retire_blk_tov: 1,
	})
	if err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(p.fd(), 0, block*blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	next := 0
	return func(f func([]byte)) error {
		desc := memory[next*block : (next+1)*block]
		h := (*unix.TpacketHdrV1)(unsafe.Pointer(&desc[8]))
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return nil
		}
		at := h.Offset_to_first_pkt
		for range h.Num_pkts {
			fr := (*unix.Tpacket3Hdr)(unsafe.Pointer(&desc[at]))
			start := at + uint32(fr.Mac)
			f(desc[start-vnetSize : start+fr.Snaplen])
			at += fr.Next_offset
		}
		atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
		next = (next + 1) % blocks
		return nil
	}, p.bindAll()
}

// newUnitTransmitter copies each unit, as the relay must where it holds it back.
func newUnitTransmitter(p *Port) (transmitter, error) {
	if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return transmitter{}, err
	}
	return newMmsgTransmitterOf(p, vnetSize+maxUnit)
}
