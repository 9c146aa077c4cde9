package relay

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// patience bounds every wait of these tests: none is about time.
const patience = 20 * time.Second

// flow is a run of numbered datagrams, each filled from its number.
type flow struct {
	tb       testing.TB
	from, to *net.UDPConn
	size     int
	sent     int
	got      []uint32 // numbers, in order of arrival
}

func (r *rig) flow(size int, a, b netip.Addr) *flow {
	r.tb.Helper()
	f := &flow{tb: r.tb, size: size}
	f.from, f.to = r.udp(a, b)
	return f
}

func fill(data []byte, number uint32) {
	for i := 0; i+4 <= len(data); i += 4 {
		binary.BigEndian.PutUint32(data[i:], number*2654435761+uint32(i))
	}
	binary.BigEndian.PutUint32(data, number)
}

// send sends n datagrams. With a window, it never has more than that on the way.
func (f *flow) send(n, window int) {
	f.tb.Helper()
	data := make([]byte, f.size)
	for range n {
		fill(data, uint32(f.sent))
		if _, err := f.from.Write(data); err != nil {
			f.tb.Fatalf("send datagram %d: %v", f.sent, err)
		}
		f.sent++
		for window > 0 && f.sent-len(f.got) >= window {
			f.receive(len(f.got) + 1)
		}
	}
}

// receive waits until n datagrams have come in all, and checks their contents.
func (f *flow) receive(n int) {
	f.tb.Helper()
	data, want := make([]byte, 65536), make([]byte, f.size)
	if err := f.to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		f.tb.Fatal(err)
	}
	for len(f.got) < n {
		k, err := f.to.Read(data)
		if err != nil {
			f.tb.Fatalf("got %d of %d datagrams: %v", len(f.got), n, err)
		}
		number := binary.BigEndian.Uint32(data)
		fill(want, number)
		if k != f.size || string(data[:k]) != string(want) {
			f.tb.Fatalf("datagram %d is damaged (%d bytes)", number, k)
		}
		f.got = append(f.got, number)
	}
}

// wantNoMore checks that nothing else comes, once the wire is known to be empty.
func (f *flow) wantNoMore() {
	f.tb.Helper()
	// What has left the wire is in the socket: softirqs run before the send ends.
	if err := f.to.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		f.tb.Fatal(err)
	}
	if n, err := f.to.Read(make([]byte, 65536)); !errors.Is(err, os.ErrDeadlineExceeded) {
		f.tb.Fatalf("%d bytes more than expected (%v)", n, err)
	}
}

func (f *flow) wantInOrder() {
	f.tb.Helper()
	for i := 1; i < len(f.got); i++ {
		if f.got[i] <= f.got[i-1] {
			f.tb.Fatalf("datagram %d came after %d", f.got[i], f.got[i-1])
		}
	}
}

// until asks for the wire's counters until ok holds.
func (r *rig) until(what string, ok func(WireStatus) bool) WireStatus {
	r.tb.Helper()
	var s WireStatus
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s = r.counters(); ok(s) {
			return s
		}
	}
	r.tb.Fatalf("never saw %s: %+v", what, s)
	return s
}

// wantClean checks a direction's sums and that the relay lost nothing itself.
func wantClean(t *testing.T, d DirectionStatus) {
	t.Helper()
	var dropped uint64
	for _, n := range d.Dropped {
		dropped += n
	}
	if d.ArrivedPackets != d.DepartedPackets+dropped+uint64(d.HeldPackets) {
		t.Errorf("arrived %d, departed %d, dropped %d, held %d", d.ArrivedPackets, d.DepartedPackets, dropped, d.HeldPackets)
	}
	if d.RelayDrops.Total() != 0 || d.SendErrors != 0 {
		t.Errorf("the relay lost packets: %+v, %d send errors", d.RelayDrops, d.SendErrors)
	}
}

func TestForwardsEveryPacketOnce(t *testing.T) {
	eachOffload(t, func(t *testing.T, newRig func(testing.TB) *rig, offload Offload) {
		for _, tc := range []struct {
			name string
			a, b netip.Addr // ARP or neighbour discovery pass first
			size int
		}{
			{"ipv4 full", addrA4.Addr(), addrB4.Addr(), 1472},
			{"ipv6 full", addrA6.Addr(), addrB6.Addr(), 1452},
			{"ipv4 small", addrA4.Addr(), addrB4.Addr(), 4},
		} {
			t.Run(tc.name, func(t *testing.T) {
				r := newRig(t)
				r.start(Wire{Offload: offload})
				f := r.flow(tc.size, tc.a, tc.b)
				const n = 20_000
				f.send(1, 1) // until the address is known packets wait in the node
				f.send(n-1, 500)
				f.receive(n)
				f.wantInOrder() // n different numbers below n, in order: each exactly once
				f.wantNoMore()
				s := r.until("all packets departed", func(s WireStatus) bool {
					return s.Up.DepartedPackets >= n && s.Up.HeldPackets == 0
				})
				wantClean(t, s.Up)
				wantClean(t, s.Down)
				if s.Up.Lateness.Count != s.Up.DepartedPackets {
					t.Errorf("lateness of %d packets noted, want %d", s.Up.Lateness.Count, s.Up.DepartedPackets)
				}
			})
		}
	})
}

// Every frame on the wire is in the counters: the interfaces' own say the same.
func TestCountersAgreeWithInterfaces(t *testing.T) {
	r := newRig(t).quiet()
	before := [2]*netlink.LinkStatistics{r.w.statistics("wa"), r.w.statistics("wb")}
	r.start(Wire{Up: emulation.Impairments{Loss: 0.1}})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(5000, 0)
	s := r.until("all frames arrived", func(s WireStatus) bool { return s.Up.ArrivedPackets >= 5000 })
	wantClean(t, s.Up)
	after := [2]*netlink.LinkStatistics{r.w.statistics("wa"), r.w.statistics("wb")}
	got := []uint64{s.Up.ArrivedPackets, s.Up.ArrivedBytes, s.Up.DepartedPackets, s.Up.DepartedBytes}
	want := []uint64{
		after[0].RxPackets - before[0].RxPackets, after[0].RxBytes - before[0].RxBytes,
		after[1].TxPackets - before[1].TxPackets, after[1].TxBytes - before[1].TxBytes,
	}
	if !slices.Equal(got, want) {
		t.Errorf("arrived packets, bytes, departed packets, bytes: %v, the interfaces counted %v", got, want)
	}
}

func TestDropsAreCountedByReason(t *testing.T) {
	for _, tc := range []struct {
		name   string
		imp    emulation.Impairments
		size   int
		send   int
		reason string
		lo, hi int // drops
	}{
		{"loss", emulation.Impairments{Loss: 0.1}, 1000, 5000, "loss", 400, 600}, // 4.7 sigma
		{"mtu", emulation.Impairments{MTU: 1027}, 1000, 100, "mtu", 100, 100},
		{"mtu that fits", emulation.Impairments{MTU: 1028}, 1000, 100, "mtu", 0, 0},
		{
			"queue",
			emulation.Impairments{Rate: 100_000, Queue: emulation.Queue{Packets: 5}},
			1000, 100, "queue", 80, 95, // 83 ms a packet: few leave while the burst comes
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t).quiet()
			r.start(Wire{Up: tc.imp})
			f := r.flow(tc.size, addrA4.Addr(), addrB4.Addr())
			f.send(tc.send, 0)
			s := r.until("the wire empty", func(s WireStatus) bool {
				return s.Up.ArrivedPackets >= uint64(tc.send) && s.Up.HeldPackets == 0
			})
			wantClean(t, s.Up)
			drops := int(s.Up.Dropped[tc.reason])
			if drops < tc.lo || drops > tc.hi {
				t.Errorf("%d drops for %s, want %d to %d", drops, tc.reason, tc.lo, tc.hi)
			}
			f.receive(tc.send - drops)
			f.wantNoMore()
			f.wantInOrder()
		})
	}
}

// No packet comes before its delay. How much later is not a test's business.
func TestDelayIsNeverShorter(t *testing.T) {
	const delay = 30 * time.Millisecond
	r := newRig(t)
	r.start(Wire{Up: emulation.Impairments{Delay: delay}})
	f := r.flow(100, addrA4.Addr(), addrB4.Addr())
	for range 20 {
		began := time.Now()
		f.send(1, 1)
		if took := time.Since(began); took < delay {
			t.Errorf("a packet took %v, want %v at least", took, delay)
		}
	}
	s := r.counters()
	wantClean(t, s.Up)
}

// While the relay stands still its ring overflows. Those frames are its own
// losses, not the path's, and none goes uncounted.
func TestOverloadIsNotPathLoss(t *testing.T) {
	r := newRig(t).quiet()
	before := r.w.statistics("wa").RxPackets
	r.start(Wire{Up: emulation.Impairments{Loss: 0.01}})
	f := r.flow(100, addrA4.Addr(), addrB4.Addr())
	if err := r.child.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.waitStopped()
	f.send(ringFrames+2000, 0)
	if err := r.child.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s := r.until("all packets", func(s WireStatus) bool {
		return s.Up.ArrivedPackets+s.Up.RelayDrops.Ring >= uint64(f.sent)
	})
	if s.Up.RelayDrops.Ring < 2000 {
		t.Errorf("the ring dropped %d frames, want 2000 at least", s.Up.RelayDrops.Ring)
	}
	seen := s.Up.DepartedPackets + s.Up.Dropped["loss"] + s.Up.RelayDrops.Ring
	interfaceSaw := r.w.statistics("wa").RxPackets - before
	if seen != interfaceSaw {
		t.Errorf("%d frames accounted for, the interface saw %d", seen, interfaceSaw)
	}
}

// waitStopped waits until every thread of the relay stands.
func (r *rig) waitStopped() {
	r.tb.Helper()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(r.child.Process.Pid, &status, unix.WUNTRACED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			r.tb.Fatalf("wait for the relay to stop: %v, status %#x", err, status)
		}
		return
	}
}

// With checksum offload on, a sender's frames have no checksum yet. The receiver
// would take them for damaged: the relay says what is wrong instead.
func TestUnfinishedChecksumsAreRefused(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(10, 0)
	f.receive(10)
	r.a.setFeature("a", "tx-checksum-ip-generic", offloadOn)
	f.send(10, 0)
	r.until("ten frames refused", func(s WireStatus) bool { return s.Up.RelayDrops.Unfinished == 10 })
	f.wantNoMore()
}

func TestOversizedFramesAreRefused(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	for _, s := range []struct {
		space *space
		name  string
	}{{r.a, "a"}, {r.b, "b"}} {
		if err := s.space.netlink.LinkSetMTU(s.space.link(s.name), 3000); err != nil {
			t.Fatal(err)
		}
	}
	f := r.flow(2000, addrA4.Addr(), addrB4.Addr())
	// veth itself refuses frames beyond its peer's MTU, so that the wire's end is
	// raised too, after the relay learned what fits.
	if err := r.w.netlink.LinkSetMTU(r.w.link("wa"), 3000); err != nil {
		t.Fatal(err)
	}
	f.send(10, 0)
	r.until("ten frames refused", func(s WireStatus) bool { return s.Up.RelayDrops.Oversized == 10 })
	f.wantNoMore()
}

func TestSendErrorsAreCounted(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(1, 1)
	if err := r.w.netlink.LinkSetMTU(r.w.link("wb"), 700); err != nil {
		t.Fatal(err)
	}
	f.send(10, 0)
	s := r.until("ten send errors", func(s WireStatus) bool { return s.Up.SendErrors >= 10 })
	if want := unix.EMSGSIZE.Error(); s.Up.SendError != want || s.Up.Cut > 0 {
		t.Errorf("latest send error is %q, %d cut; want %q and none", s.Up.SendError, s.Up.Cut, want)
	}
}

// A link that is cut loses what is on its way; that is no failure of the relay.
func TestFramesOfACutLinkAreNoErrors(t *testing.T) {
	eachOffload(t, func(t *testing.T, newRig func(testing.TB) *rig, offload Offload) {
		r := newRig(t)
		r.start(Wire{Offload: offload})
		f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
		f.send(1, 1)
		r.w.set("wb", false)
		f.send(10, 0)
		s := r.until("ten frames cut", func(s WireStatus) bool { return s.Up.Cut >= 10 })
		if s.Up.SendErrors > 0 || s.Up.DepartedPackets < s.Up.Cut {
			t.Errorf("%d send errors, %d departed; want none, and the %d cut among the departed", s.Up.SendErrors, s.Up.DepartedPackets, s.Up.Cut)
		}
	})
}

// The data path does not allocate once buffers and queues have grown.
func TestForwardingDoesNotAllocate(t *testing.T) {
	r := newRig(t)
	ports := r.ports()
	course, err := newCourse(emulation.Impairments{Rate: 10e9, Loss: 0.5}, nil, emulation.Seed{}, newStart(true))
	if err != nil {
		t.Fatal(err)
	}
	model := newLane(course)
	defer model.log.follow("test", "up").end() // each loss is noted, too
	clock, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ports[0].start()
	if err != nil {
		t.Fatal(err)
	}
	fwd, err := newForwarder(ports[0], ports[1], ring, model, clock)
	if err != nil {
		t.Fatal(err)
	}
	defer fwd.close()
	onSocket(t, ports[1].File(), func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	})
	fwd.end() // rest then looks at everything and waits for nothing
	frame := make([]byte, 1514)
	peer := r.nodePort()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	step := func() {
		for range 10 {
			if _, err := unix.Write(peer.fd(), frame); err != nil {
				t.Fatal(err)
			}
		}
		fwd.receive()
		fwd.depart(fwd.clock.at(time.Now()))
		if err := fwd.rest(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		step()
	}
	before := model.Counters().DepartedPackets
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations per 10 frames, want 0", n)
	}
	if n := model.Counters().DepartedPackets - before; n < 2000 {
		t.Errorf("only %d frames were forwarded meanwhile, want about 2500", n)
	}
	if fwd.pool.made != poolChunk {
		t.Errorf("%d buffers were made for less than %d held packets: some are not given back", fwd.pool.made, poolChunk)
	}
}
