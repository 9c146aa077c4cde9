package relay

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkCandidates compares ways to move frames between two packet sockets:
// bare loops without model, pool or counters, in this process, so that nothing
// but the packet I/O differs. docs/adr/0001-relay-packet-io.md quotes it.
func BenchmarkCandidates(b *testing.B) {
	for _, c := range []struct {
		name    string
		rig     func(testing.TB) *rig
		receive func(*Port) (receiver, error)
		send    func(*Port) (transmitter, error)
	}{
		{"rx=read/tx=write", newRig, newReadReceiver, newWriteTransmitter},
		{"rx=recvmmsg/tx=sendmmsg", newRig, newMmsgReceiver, newMmsgTransmitter},
		{"rx=v2/tx=write", newRig, newV2Receiver, newWriteTransmitter},
		{"rx=v2/tx=sendmmsg", newRig, newV2Receiver, newMmsgTransmitter},
		{"rx=v3/tx=sendmmsg", newRig, newV3Receiver, newMmsgTransmitter},
		{"rx=v2/tx=ring", newRig, newV2Receiver, newRingTransmitter},
		{"rx=recvmmsg/tx=sendmmsg/units", newSuperRig, newUnitMmsgReceiver, newUnitTransmitter},
		{"rx=v2/tx=sendmmsg/units", newSuperRig, newUnitV2Receiver, newUnitTransmitter},
		{"rx=v3/tx=sendmmsg/units", newSuperRig, newUnitV3Receiver, newUnitTransmitter},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := c.rig(b)
			stop := r.bareWire(c.receive, c.send)
			defer stop()
			var payload uint64
			var took time.Duration
			for b.Loop() {
				began := time.Now()
				payload += tcpFlow("cubic")(r)
				took += time.Since(began)
			}
			rtt := r.roundTrips(300)
			b.ReportMetric(float64(payload)*8/1e6/took.Seconds(), "Mbit/s-goodput")
			b.ReportMetric(float64(rtt[0])/1e3, "us-rtt-min")
			b.ReportMetric(float64(rtt[len(rtt)/2])/1e3, "us-rtt-p50")
			b.ReportMetric(float64(r.corrupted(400)), "corrupt-of-400")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// receiver lends frames to f until none is left or a batch is full. transmitter
// takes frames and sends them all by the end of flush.
type receiver func(f func(frame []byte)) error

type transmitter struct {
	add   func(frame []byte)
	flush func()
}

// bareWire forwards both ways until the returned function is called.
func (r *rig) bareWire(receive func(*Port) (receiver, error), send func(*Port) (transmitter, error)) func() {
	// A thread that comes back from the kernel must find a free P, as in Serve.
	before := runtime.GOMAXPROCS(runtime.NumCPU() + 4)
	in, out := r.ports(), r.ports()
	var threads sync.WaitGroup
	var stopping atomic.Bool
	for i := range in {
		rx, err := receive(in[i])
		if err != nil {
			r.tb.Fatal(err)
		}
		tx, err := send(out[1-i])
		if err != nil {
			r.tb.Fatal(err)
		}
		threads.Go(func() {
			runtime.LockOSThread()
			fds := []unix.PollFd{{Fd: int32(in[i].fd()), Events: unix.POLLIN}}
			for !stopping.Load() {
				if _, err := unix.Poll(fds, 50); err != nil && err != unix.EINTR {
					r.tb.Error(err)
					return
				}
				if err := rx(tx.add); err != nil {
					r.tb.Error(err)
					return
				}
				tx.flush()
			}
		})
	}
	return func() {
		stopping.Store(true)
		threads.Wait()
		runtime.GOMAXPROCS(before)
	}
}

// roundTrips returns the sorted times of n UDP packets there and back, one at a
// time, on an otherwise idle wire.
func (r *rig) roundTrips(n int) []time.Duration {
	from, to := r.udp(addrA4.Addr(), addrB4.Addr())
	go func() {
		buf := make([]byte, 64)
		for {
			k, addr, err := to.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = to.WriteToUDPAddrPort(buf[:k], addr)
		}
	}()
	times := make([]time.Duration, n)
	buf := make([]byte, 64)
	for i := range times {
		time.Sleep(2 * time.Millisecond)
		began := time.Now()
		if _, err := from.Write(buf); err != nil {
			r.tb.Fatal(err)
		}
		if _, err := from.Read(buf); err != nil {
			r.tb.Fatal(err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times
}

// corrupted sends n datagrams, lets them all wait in the receiver's socket, and
// returns how many are not there as they were sent.
func (r *rig) corrupted(n int) int {
	from, to := r.udp(addrA4.Addr(), addrB4.Addr())
	data := make([]byte, 1400)
	for i := range n {
		for j := 0; j < len(data); j += 4 {
			binary.BigEndian.PutUint32(data[j:], uint32(i))
		}
		if _, err := from.Write(data); err != nil {
			r.tb.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	bad := 0
	for i := range n {
		if err := to.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			r.tb.Fatal(err)
		}
		k, err := to.Read(data)
		if err != nil {
			return bad + n - i
		}
		for j := 0; j < k; j += 4 {
			if binary.BigEndian.Uint32(data[j:]) != uint32(i) {
				bad++
				break
			}
		}
	}
	return bad
}

func (p *Port) bindAll() error {
	for opt, v := range map[int]int{unix.PACKET_IGNORE_OUTGOING: 1, unix.PACKET_QDISC_BYPASS: 1} {
		if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, opt, v); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(p.fd(), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20); err != nil {
		return err
	}
	return unix.Bind(p.fd(), &unix.SockaddrLinklayer{Ifindex: p.index, Protocol: hostToNet(unix.ETH_P_ALL)})
}

func newReadReceiver(p *Port) (receiver, error) {
	buf := make([]byte, p.maxFrame())
	return func(f func([]byte)) error {
		for range receiveBatch {
			n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(p.fd()), uintptr(unsafe.Pointer(&buf[0])),
				uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
			if errno == unix.EAGAIN {
				return nil
			}
			if errno != 0 {
				return errno
			}
			f(buf[:n])
		}
		return nil
	}, p.bindAll()
}

func newMmsgReceiver(p *Port) (receiver, error) {
	s := newSender(p.fd()) // the same array of messages serves for receiving
	for i := range s.messages {
		s.add(make([]byte, p.maxFrame()), 0)
		s.messages[i].header.Iov = &s.parts[i]
	}
	return func(f func([]byte)) error {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd()), uintptr(unsafe.Pointer(&s.messages)),
			sendBatch, unix.MSG_DONTWAIT, 0, 0)
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
	}, p.bindAll()
}

func newV2Receiver(p *Port) (receiver, error) {
	ring, err := p.start()
	if err != nil {
		return nil, err
	}
	return func(f func([]byte)) error {
		for range receiveBatch {
			fr, ok := ring.peek()
			if !ok {
				return nil
			}
			f(fr.data)
			ring.release()
		}
		return nil
	}, nil
}

// newV3Receiver has blocks of 64 KiB that the kernel hands over when they are
// full or 1 ms old, the shortest that it offers.
func newV3Receiver(p *Port) (receiver, error) {
	const block, blocks = 1 << 16, 128
	if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, err
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
			f(desc[at+uint32(fr.Mac) : at+uint32(fr.Mac)+fr.Snaplen])
			at += fr.Next_offset
		}
		atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
		next = (next + 1) % blocks
		return nil
	}, p.bindAll()
}

func newWriteTransmitter(p *Port) (transmitter, error) {
	return transmitter{
		add: func(frame []byte) {
			_, _, _ = unix.Syscall6(unix.SYS_SENDTO, uintptr(p.fd()), uintptr(unsafe.Pointer(&frame[0])),
				uintptr(len(frame)), 0, 0, 0)
		},
		flush: func() {},
	}, unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
}

// newMmsgTransmitter copies each frame, as the relay must to hold it back.
func newMmsgTransmitter(p *Port) (transmitter, error) { return newMmsgTransmitterOf(p, p.maxFrame()) }

func newMmsgTransmitterOf(p *Port, longest int) (transmitter, error) {
	s := newSender(p.fd())
	buffers := &pool{size: longest}
	flush := func() {
		for i := 0; i < s.n; {
			if next, err := s.sendFrom(i); err == nil {
				i = next
			} else {
				i++
			}
		}
		for _, b := range s.buffers[:s.n] {
			buffers.give(b)
		}
		s.n = 0
	}
	add := func(frame []byte) {
		buf := buffers.take(len(frame))
		copy(buf, frame)
		s.add(buf, 0)
		if s.full() {
			flush()
		}
	}
	return transmitter{add, flush}, unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
}

// newRingTransmitter is PACKET_TX_RING: the kernel sends from the slots, without
// copying, and marks a slot free when the frame's owner lets go of it.
func newRingTransmitter(p *Port) (transmitter, error) {
	const slot, slots = 2048, 256
	for opt, v := range map[int]int{unix.PACKET_VERSION: unix.TPACKET_V2, unix.PACKET_QDISC_BYPASS: 1} {
		if err := unix.SetsockoptInt(p.fd(), unix.SOL_PACKET, opt, v); err != nil {
			return transmitter{}, err
		}
	}
	req := unix.TpacketReq{Block_size: minRingBlock, Block_nr: slot * slots / minRingBlock, Frame_size: slot, Frame_nr: slots}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(p.fd()), unix.SOL_PACKET, unix.PACKET_TX_RING,
		uintptr(unsafe.Pointer(&req)), unsafe.Sizeof(req), 0)
	if errno != 0 {
		return transmitter{}, errno
	}
	memory, err := unix.Mmap(p.fd(), 0, slot*slots, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return transmitter{}, err
	}
	next, waiting := 0, 0
	flush := func() {
		if waiting > 0 {
			_, _, _ = unix.Syscall6(unix.SYS_SENDTO, uintptr(p.fd()), 0, 0, unix.MSG_DONTWAIT, 0, 0)
			waiting = 0
		}
	}
	add := func(frame []byte) {
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&memory[next*slot]))
		for atomic.LoadUint32(&h.Status) != unix.TP_STATUS_AVAILABLE {
			waiting++
			flush()
		}
		// Data starts right behind the header (TPACKET2_HDRLEN - sockaddr_ll).
		copy(memory[next*slot+32:], frame)
		h.Len, h.Snaplen = uint32(len(frame)), uint32(len(frame))
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_SEND_REQUEST)
		next = (next + 1) % slots
		if waiting++; waiting == sendBatch {
			flush()
		}
	}
	return transmitter{add, flush}, nil
}
