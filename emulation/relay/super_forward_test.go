package relay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// eachOffload runs a test on both kinds of wires, each with its kind of endpoints.
func eachOffload(t *testing.T, f func(t *testing.T, newRig func(testing.TB) *rig, offload Offload)) {
	t.Helper()
	t.Run("packets", func(t *testing.T) { f(t, newRig, OffloadOff) })
	t.Run("units", func(t *testing.T) { f(t, newSuperRig, OffloadOn) })
}

// wantSums checks that a direction's counters add up, copies included, and that the
// relay lost nothing itself.
func wantSums(t *testing.T, d DirectionStatus) {
	t.Helper()
	d.DepartedPackets -= min(d.Duplicated, d.DepartedPackets)
	if d.Duplicated == 0 {
		wantClean(t, d)
		return
	}
	var dropped uint64
	for _, n := range d.Dropped {
		dropped += n
	}
	if d.ArrivedPackets != d.DepartedPackets+dropped+uint64(d.HeldPackets) || d.RelayDrops.Total() != 0 || d.SendErrors != 0 {
		t.Errorf("the counts do not add up: %+v", d)
	}
}

// pattern is a stream that repeats itself after a number of bytes that no length of
// a segment, unit or read divides.
type pattern []byte

func newPattern() pattern {
	p := make(pattern, 1<<20+7)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p) // never fails
	return p
}

// fill fills data with what stands at an offset.
func (p pattern) fill(data []byte, offset int64) {
	for len(data) > 0 {
		n := copy(data, p[offset%int64(len(p)):])
		data, offset = data[n:], offset+int64(n)
	}
}

// transfer moves n bytes from a to b by TCP, in large writes, and checks each.
func (r *rig) transfer(a, b netip.Addr, n int64) {
	r.tb.Helper()
	var listener *net.TCPListener
	r.b.do(func() (err error) {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(b, 0)))
		return err
	})
	defer listener.Close()
	var conn *net.TCPConn
	r.a.do(func() (err error) {
		local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
		conn, err = net.DialTCP("tcp", local, listener.Addr().(*net.TCPAddr))
		return err
	})
	deadline, stream := time.Now().Add(2*patience), newPattern()
	sent := make(chan error, 1)
	go func() {
		defer conn.Close()
		data := make([]byte, 256<<10)
		_ = conn.SetDeadline(deadline)
		for at := int64(0); at < n; at += int64(len(data)) {
			data = data[:min(int64(len(data)), n-at)]
			stream.fill(data, at)
			if _, err := conn.Write(data); err != nil {
				sent <- err
				return
			}
		}
		sent <- conn.CloseWrite()
	}()
	in, err := listener.Accept()
	if err != nil {
		r.tb.Fatal(err)
	}
	defer in.Close()
	_ = in.SetDeadline(deadline)
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	at := int64(0)
	for {
		k, err := in.Read(got)
		stream.fill(want[:k], at)
		if !bytes.Equal(got[:k], want[:k]) {
			r.tb.Fatalf("the bytes from %d on are not those sent", at)
		}
		at += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			r.tb.Fatalf("after %d of %d bytes: %v", at, n, err)
		}
	}
	if err := <-sent; err != nil || at != n {
		r.tb.Fatalf("%d of %d bytes came, sender says %v", at, n, err)
	}
}

// sysctl sets a kernel setting in both nodes.
func (r *rig) sysctl(path, value string) {
	r.tb.Helper()
	for _, node := range []*space{r.a, r.b} {
		node.do(func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0) })
	}
}

// Whatever happens to the packets of its units, a TCP stream arrives as it was sent.
func TestStreamsSurviveUnits(t *testing.T) {
	marked := emulation.Impairments{Rate: 500e6, Queue: emulation.Queue{Packets: 500, Mark: emulation.Limit{Packets: 5}}}
	for _, tc := range []struct {
		name  string
		imp   emulation.Impairments
		bytes int64
		saw   func(DirectionStatus) bool // that what was asked happened
	}{
		{"untouched", emulation.Impairments{}, 100e6, func(d DirectionStatus) bool {
			return d.ArrivedPackets > 4*d.ArrivedUnits && d.DepartedPackets > 4*d.SentUnits
		}},
		{"loss", emulation.Impairments{Loss: 0.01}, 20e6, func(d DirectionStatus) bool { return d.Dropped["loss"] > 0 }},
		{"duplicates", emulation.Impairments{Duplicate: 0.05}, 20e6, func(d DirectionStatus) bool { return d.Duplicated > 0 }},
		{"corruption", emulation.Impairments{Corrupt: 0.01}, 20e6, func(d DirectionStatus) bool { return d.Corrupted > 0 }},
		{"marks", marked, 20e6, func(d DirectionStatus) bool { return d.Marked > 0 }},
		// A unit of TCP has more packets than these queues.
		{"a short queue", emulation.Impairments{Rate: 300e6, Delay: time.Millisecond, Queue: emulation.Queue{Packets: 20}}, 20e6, func(d DirectionStatus) bool { return d.Dropped["queue"] > 0 }},
		{"drop-head", emulation.Impairments{Rate: 300e6, Queue: emulation.Queue{Packets: 20, Discipline: emulation.DropHead}}, 20e6, func(d DirectionStatus) bool { return d.Dropped["queue"] > 0 }},
		{"reordering", emulation.Impairments{Delay: time.Millisecond, Reorder: emulation.Reorder{Probability: 0.02}}, 20e6, func(d DirectionStatus) bool { return d.Reordered > 0 }},
		{"an mtu below the segments", emulation.Impairments{MTU: 1200}, 5e6, func(d DirectionStatus) bool { return d.Dropped["mtu"] > 0 }},
		{"an mtu that is told", emulation.Impairments{MTU: 1300, TooBig: emulation.TooBigICMP}, 20e6, func(d DirectionStatus) bool { return d.Dropped["mtu"] > 0 && d.TooBig.Told > 0 }},
		{"all at once", emulation.Impairments{Rate: 400e6, Delay: time.Millisecond, Jitter: time.Millisecond, Loss: 0.002, Duplicate: 0.01, Corrupt: 0.002, Queue: marked.Queue}, 10e6, func(d DirectionStatus) bool { return d.Corrupted > 0 && d.Duplicated > 0 }},
	} {
		for family, addrs := range map[string][2]netip.Addr{
			"ipv4": {addrA4.Addr(), addrB4.Addr()}, "ipv6": {addrA6.Addr(), addrB6.Addr()},
		} {
			t.Run(tc.name+"/"+family, func(t *testing.T) {
				r := newSuperRig(t)
				r.sysctl("net/ipv4/tcp_ecn", "1")
				if tc.imp.MTU != 0 && tc.imp.TooBig == emulation.TooBigSilent {
					r.sysctl("net/ipv4/tcp_mtu_probing", "1") // finds the MTU behind a black hole
				}
				r.start(Wire{Up: tc.imp, Offload: OffloadOn})
				r.transfer(addrs[0], addrs[1], tc.bytes)
				s := r.until("an idle wire", func(s WireStatus) bool { return s.Up.HeldPackets == 0 && s.Down.HeldPackets == 0 })
				wantSums(t, s.Up)
				wantSums(t, s.Down)
				if !tc.saw(s.Up) {
					t.Errorf("what was asked did not happen: %+v", s.Up)
				}
				if s.Up.Lateness.Count != s.Up.DepartedPackets {
					t.Errorf("lateness of %d packets noted, %d departed", s.Up.Lateness.Count, s.Up.DepartedPackets)
				}
			})
		}
	}
}

// volley sends numbered datagrams of a size, so many a call, and returns what came
// of them, in order of arrival.
type volley struct {
	size, perCall, calls int
	tos                  int
	gro                  bool // the receiver takes units
}

func (v volley) send(r *rig, a, b netip.Addr) (numbers []uint32, ce int) {
	r.tb.Helper()
	from, to := r.udp(a, b)
	level, option, receive := unix.IPPROTO_IP, unix.IP_TOS, unix.IP_RECVTOS
	if a.Is6() {
		level, option, receive = unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_RECVTCLASS
	}
	onSocket(r.tb, from, func(fd int) error {
		if err := unix.SetsockoptInt(fd, level, option, v.tos); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, v.size)
	})
	onSocket(r.tb, to, func(fd int) error {
		if v.gro {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
				return err
			}
		}
		return unix.SetsockoptInt(fd, level, receive, 1)
	})
	before := r.counters().Up.ArrivedPackets
	data := make([]byte, v.size*v.perCall)
	for i := range v.calls {
		for k := range v.perCall {
			fill(data[k*v.size:(k+1)*v.size], uint32(i*v.perCall+k))
		}
		if _, err := from.Write(data); err != nil {
			r.tb.Fatalf("send: %v", err)
		}
	}
	want := before + uint64(v.perCall*v.calls)
	r.until("an idle wire", func(s WireStatus) bool { return s.Up.ArrivedPackets >= want && s.Up.HeldPackets == 0 })
	return v.receive(r, to)
}

// receive takes all that lies in the socket: softirqs run before a send ends.
func (v volley) receive(r *rig, to *net.UDPConn) (numbers []uint32, ce int) {
	r.tb.Helper()
	buf, oob, want := make([]byte, 1<<16), make([]byte, 256), make([]byte, v.size)
	for {
		if err := to.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			r.tb.Fatal(err)
		}
		n, k, _, _, err := to.ReadMsgUDP(buf, oob)
		if err != nil {
			return numbers, ce
		}
		messages, err := unix.ParseSocketControlMessage(oob[:k])
		if err != nil {
			r.tb.Fatal(err)
		}
		isCE := false
		for _, m := range messages {
			if m.Header.Type == unix.IP_TOS || m.Header.Type == unix.IPV6_TCLASS {
				isCE = m.Data[0]&3 == 3
			}
		}
		for part := range slices.Chunk(buf[:n], v.size) {
			number := binary.BigEndian.Uint32(part)
			fill(want, number)
			if !slices.Equal(part, want) {
				r.tb.Fatalf("datagram %d is damaged (%d bytes)", number, len(part))
			}
			numbers = append(numbers, number)
			if isCE {
				ce++
			}
		}
	}
}

// Which datagrams of units get through, and how often, is what the pure model says
// of the same arrivals. What was corrupted the receiver's kernel refuses.
func TestUnitsMeetTheModelsLosses(t *testing.T) {
	for _, tc := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"independent", emulation.Impairments{Loss: 0.1}},
		{"bursts", emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: 0.02, R: 0.2, H: 0, K: 1}}},
		{"listed", emulation.Impairments{LosePackets: &emulation.PacketList{1, 44, 45, 90, 91, 92}}},
		{"duplicates", emulation.Impairments{Duplicate: 0.1}},
		{"corruption", emulation.Impairments{Corrupt: 0.05, Delay: time.Millisecond}},
		{"mtu", emulation.Impairments{MTU: 1000}},
	} {
		for _, gro := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/gro=%v", tc.name, gro), func(t *testing.T) {
				r := newSuperRig(t).quiet()
				r.start(Wire{Up: tc.imp, Offload: OffloadOn})
				v := volley{size: 1200, perCall: 44, calls: 100, gro: gro}
				got, _ := v.send(r, addrA4.Addr(), addrB4.Addr())
				want, counters := modelled(t, tc.imp, v.calls*v.perCall, v.size+42)
				if !slices.Equal(got, want) {
					t.Errorf("%d datagrams came through, the model passes %d; first difference at %d", len(got), len(want), firstDifference(got, want))
				}
				s := r.counters()
				wantSums(t, s.Up)
				if s.Up.ArrivedPackets != counters.ArrivedPackets || s.Up.DepartedPackets != counters.DepartedPackets ||
					s.Up.Corrupted != counters.CorruptedPackets || s.Up.Duplicated != counters.DuplicatedPackets || s.Up.ArrivedBytes != counters.ArrivedBytes {
					t.Errorf("counters %+v, the model alone has %+v", s.Up, counters)
				}
				if s.Up.ArrivedUnits != uint64(v.calls) {
					t.Errorf("%d units arrived, %d were sent", s.Up.ArrivedUnits, v.calls)
				}
			})
		}
	}
}

// modelled returns the numbers of the packets that the pure model passes whole, of n
// that arrive at one time, with the rig's seed.
func modelled(t *testing.T, imp emulation.Impairments, n, size int) ([]uint32, emulation.Counters) {
	t.Helper()
	model, err := emulation.NewDirection(imp, emulation.NewSeed(7, "test", "up"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		model.Enqueue(0, emulation.Packet{Size: emulation.ByteCount(size), IPSize: size - ethernetHeader, Data: binary.BigEndian.AppendUint32(nil, uint32(i))})
	}
	var passed []uint32
	for p, _, ok := model.Dequeue(emulation.Time(time.Hour)); ok; p, _, ok = model.Dequeue(emulation.Time(time.Hour)) {
		if p.Marks&emulation.Corrupted == 0 {
			passed = append(passed, binary.BigEndian.Uint32(p.Data))
		}
	}
	return passed, model.Counters()
}

func firstDifference(a, b []uint32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// Each packet that the model marks has CE at the receiver, and no other.
func TestMarksOfUnitsArrive(t *testing.T) {
	for family, addrs := range map[string][2]netip.Addr{
		"ipv4": {addrA4.Addr(), addrB4.Addr()}, "ipv6": {addrA6.Addr(), addrB6.Addr()},
	} {
		t.Run(family, func(t *testing.T) {
			r := newSuperRig(t)
			r.start(Wire{Offload: OffloadOn, Up: emulation.Impairments{
				Rate: 1e9, Queue: emulation.Queue{Mark: emulation.Limit{Packets: 30}},
			}})
			r.flow(100, addrs[0], addrs[1]).send(1, 1) // the neighbours know each other
			v := volley{size: 1200, perCall: 44, calls: 100, tos: 2}
			got, ce := v.send(r, addrs[0], addrs[1])
			s := r.counters()
			if len(got) != 4400 || ce == 0 || ce == 4400 || uint64(ce) != s.Up.Marked {
				t.Errorf("%d datagrams came, %d with CE; the model marked %d", len(got), ce, s.Up.Marked)
			}
		})
	}
}

// The path of units does not allocate once buffers and queues have grown.
func TestForwardingUnitsDoesNotAllocate(t *testing.T) {
	r := newSuperRig(t).quiet()
	ports := r.ports()
	course, err := newCourse(emulation.Impairments{Rate: 10e9, Loss: 0.1, Duplicate: 0.1, Corrupt: 0.1}, nil, emulation.Seed{}, newStart(true))
	if err != nil {
		t.Fatal(err)
	}
	model := newLane(course)
	if err := ports[1].startUnits(); err != nil {
		t.Fatal(err)
	}
	fwd, err := startForwarder(ports[0], ports[1], OffloadOn, model, clock{base: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	defer fwd.close()
	fwd.end() // rest then looks at everything and waits for nothing
	from, _ := r.udp(addrA4.Addr(), addrB4.Addr())
	fd := -1
	onSocket(t, from, func(n int) error {
		fd = n
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200)
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	data := make([]byte, 40*1200)
	step := func() {
		for range 5 {
			if _, err := unix.Write(fd, data); err != nil {
				t.Fatal(err)
			}
		}
		fwd.receive()
		fwd.depart(fwd.clock.at(time.Now()))
		if err := fwd.rest(); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		step()
	}
	before := model.Counters().DepartedPackets
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations per 5 units, want 0", n)
	}
	if n := model.Counters().DepartedPackets - before; n < 60_000 {
		t.Errorf("only %d packets were forwarded meanwhile, want about 100000", n)
	}
	if fwd.stats.runs == 0 || fwd.stats.sendFailed != 0 {
		t.Errorf("%d runs were sent, %d packets failed", fwd.stats.runs, fwd.stats.sendFailed)
	}
}

// A live change meets whole units: all of their wire packets before it, or none.
func TestUnitsMeetALiveChange(t *testing.T) {
	r := newSuperRig(t).quiet()
	r.start(Wire{Offload: OffloadOn})
	v := volley{size: 1200, perCall: 40, calls: 10}
	if got, _ := v.send(r, addrA4.Addr(), addrB4.Addr()); len(got) != 400 {
		t.Errorf("%d datagrams came, want 400", len(got))
	}
	err := r.client.Set(t.Context(), []Setting{{
		Link: "test", Way: "up",
		Patch: emulation.Patch{Fields: emulation.FieldLoseEvery, Values: emulation.Impairments{LoseEvery: 4}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := v.send(r, addrA4.Addr(), addrB4.Addr())
	s := r.counters()
	if len(got) != 300 || s.Up.Dropped["loss"] != 100 || s.Up.SentUnits < 10+100 {
		t.Errorf("%d datagrams came of 400, want 300: %+v", len(got), s.Up)
	}
}
