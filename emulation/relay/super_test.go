package relay

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// tb is what a test and a property have in common.
type tb interface {
	rapid.TB
	Cleanup(func())
}

// workbench is a direction of a wire with units whose ports are the ends of local
// sockets: what it sends can be read whole, and what arrives is put in by hand.
type workbench struct {
	tb  tb
	f   *forwarder
	out int // what is sent comes out here
	buf []byte
}

func newWorkbench(tb tb, imp emulation.Impairments, mtu int) *workbench {
	tb.Helper()
	w := &workbench{tb: tb, buf: make([]byte, vnetSize+maxUnit)}
	var files [3]*os.File
	for i, pair := range [2][2]int{socketPair(tb), socketPair(tb)} {
		files[i] = os.NewFile(uintptr(pair[0]), "port")
		w.out = pair[1]
		tb.Cleanup(func() { _ = errors.Join(files[i].Close(), unix.Close(pair[1])) })
	}
	course, err := newCourse(imp, nil, emulation.NewSeed(7, "test", "up"), newStart(false))
	if err != nil {
		tb.Fatal(err)
	}
	in, out := &Port{file: files[0], mtu: mtu}, &Port{file: files[1], mtu: mtu}
	if w.f, err = newForwarder(in, out, nil, newLane(course), clock{base: time.Now()}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.f.close() })
	return w
}

func socketPair(tb tb) [2]int {
	tb.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 256<<20); err != nil {
		tb.Fatal(err)
	}
	return pair
}

// arrive is the arrival of a frame.
func (w *workbench) arrive(at emulation.Time, v vnetHeader, data []byte) {
	n := copy(w.f.super.intake.buffers[0], data)
	w.f.arrived = at
	w.f.arriveUnit(0, frame{data: w.f.super.intake.buffers[0][:n], length: len(data)}, v)
}

// sent is one message.
type sent struct {
	vnet  vnetHeader
	frame []byte
}

// depart returns what leaves at now.
func (w *workbench) depart(now emulation.Time) []sent {
	w.tb.Helper()
	runs := w.f.stats.runs
	w.f.depart(now) // the socket has room for all of it
	var got []sent
	for {
		n, _, err := unix.Recvfrom(w.out, w.buf, unix.MSG_DONTWAIT)
		if err != nil {
			break
		}
		got = append(got, sent{readVnet(w.buf), bytes.Clone(w.buf[vnetSize:n])})
	}
	if n := w.f.stats.runs - runs; n != uint64(len(got)) || w.f.stats.sendFailed != 0 {
		w.tb.Fatalf("%d messages came out of %d, %d failed", len(got), n, w.f.stats.sendFailed)
	}
	return got
}

// wantIdle checks that nothing is held, and that all buffers came back.
func (w *workbench) wantIdle() {
	w.tb.Helper()
	s := &w.f.super.units
	if len(s.idle) != len(s.all) {
		w.tb.Fatalf("%d of %d units are in use on an idle wire", len(s.all)-len(s.idle), len(s.all))
	}
	for i, p := range s.buffers {
		use := 0
		if i == len(s.buffers)-1 {
			use = intakeBatch
		}
		if p.made-len(p.free) != use {
			w.tb.Fatalf("%d buffers of %d bytes are in use, want %d", p.made-len(p.free), p.size, use)
		}
	}
}

// reference is the pure model, told of each wire packet by itself.
type reference struct {
	model   *emulation.Direction
	packets [][]byte // by number, which is their Data
}

func (r *reference) arrive(at emulation.Time, packet []byte) {
	n := len(r.packets)
	r.packets = append(r.packets, packet)
	r.model.Enqueue(at, emulation.Packet{
		Size: emulation.ByteCount(len(packet)), IPSize: len(packet) - ethernetHeader,
		Data: []byte{byte(n >> 16), byte(n >> 8), byte(n)}, ECN: codepoint(packet),
	})
	r.drain()
}

func (r *reference) drain() {
	for ok := true; ok; _, ok = r.model.Discarded() {
	}
}

func (r *reference) depart(now emulation.Time) (packets [][]byte) {
	for {
		p, _, ok := r.model.Dequeue(now)
		if !ok {
			r.drain()
			return packets
		}
		packet := bytes.Clone(r.packets[int(p.Data[0])<<16|int(p.Data[1])<<8|int(p.Data[2])])
		if p.ECN == emulation.CE {
			setCE(packet)
		}
		if p.Marks&emulation.Corrupted != 0 {
			flip(packet, p.Flip)
		}
		packets = append(packets, packet)
	}
}

// flatten returns the wire packets of messages, as a receiver would take them
// apart, from the fields of the sendings they may come from.
func flatten(t tb, messages []sent, from []sending) (packets [][]byte) {
	for _, m := range messages {
		if m.vnet.kind() == wholePacket {
			if m.vnet != (vnetHeader{}) {
				t.Fatalf("a whole packet has the header %+v", m.vnet)
			}
			packets = append(packets, m.frame)
			continue
		}
		packets = append(packets, takeApart(t, m, from)...)
	}
	return packets
}

// takeApart finds out which run of which sending a unit is, and returns its packets.
func takeApart(t tb, m sent, from []sending) (packets [][]byte) {
	for _, s := range from {
		if int(m.vnet.segmentSize) != s.size {
			continue
		}
		ce := codepoint(m.frame) == emulation.CE
		headers := int(m.vnet.headerLength)
		count := (len(m.frame) - headers + s.size - 1) / s.size
		for first := range s.packets() - count + 1 {
			v, frame := s.run(first, count, ce)
			if v != m.vnet || !bytes.Equal(frame, m.frame) {
				continue
			}
			for i := range count {
				_, packet := s.run(first+i, 1, ce)
				packets = append(packets, packet)
			}
			return packets
		}
	}
	t.Fatalf("a unit is no run of any that was sent: %+v\n%x", m.vnet, m.frame[:80])
	return nil
}

func drawImpairments(t *rapid.T) emulation.Impairments {
	imp := emulation.Impairments{
		Rate:  emulation.Rate(rapid.SampledFrom([]int{0, 1e8, 1e9, 3e9}).Draw(t, "rate")),
		Delay: time.Duration(rapid.SampledFrom([]int{0, 1e6}).Draw(t, "delay")),
		Loss:  rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "loss"),
		MTU:   rapid.SampledFrom([]int{0, 1000}).Draw(t, "mtu"),
	}
	imp.Duplicate = rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "duplicate")
	imp.Corrupt = rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "corrupt")
	if imp.Delay != 0 {
		imp.Reorder.Probability = rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "reorder")
	}
	if imp.Rate != 0 {
		imp.Queue.Packets = rapid.SampledFrom([]int{0, 5, 50}).Draw(t, "queue")
		if imp.Queue.Packets != 0 {
			imp.Queue.Discipline = rapid.SampledFrom([]emulation.Discipline{emulation.DropTail, emulation.DropHead, emulation.CoDel}).Draw(t, "discipline")
		}
		imp.Queue.Mark.Packets = rapid.SampledFrom([]int{0, 3}).Draw(t, "mark")
	}
	return imp
}

// A wire with units does to each wire packet what the pure model does to it: the
// same packets come out in the same order at the same times, byte for byte, in units
// that a sender might have made.
func TestUnitsFollowTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		imp := drawImpairments(t)
		w := newWorkbench(t, imp, 1500)
		model, err := emulation.NewDirection(imp, emulation.NewSeed(7, "test", "up"))
		if err != nil {
			t.Fatal(err)
		}
		ref := &reference{model: model}
		var from []sending
		now := emulation.Time(0)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300_000).Draw(t, "ns")))
			if rapid.Bool().Draw(t, "arrives") {
				s := drawSending(t)
				from = append(from, s)
				vnet, frame := s.run(0, s.packets(), false)
				w.arrive(now, vnet, frame)
				for i := range s.packets() {
					_, packet := s.run(i, 1, false)
					ref.arrive(now, packet)
				}
				continue
			}
			compareDepartures(t, w, ref, now, from)
		}
		compareDepartures(t, w, ref, now.Add(time.Hour), from)
		w.wantIdle()
		if got, want := w.f.model.Counters(), ref.model.Counters(); got != want {
			t.Fatalf("counters %+v, the model alone has %+v", got, want)
		}
		if got := w.f.stats.lateness.count; got != ref.model.Counters().DepartedPackets {
			t.Fatalf("lateness of %d packets, %d departed", got, ref.model.Counters().DepartedPackets)
		}
	})
}

func compareDepartures(t *rapid.T, w *workbench, ref *reference, now emulation.Time, from []sending) {
	got, want := flatten(t, w.depart(now), from), ref.depart(now)
	if len(got) != len(want) {
		t.Fatalf("%d packets leave at %d, want %d", len(got), now, len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d of %d at %d:\n%x\nwant\n%x", i, len(got), now, got[i], want[i])
		}
	}
}

// What has one fate stays one unit.
func TestRunsAreAsLongAsTheyCanBe(t *testing.T) {
	s := sending{version: 4, size: 1000, payload: make([]byte, 9_500)} // 10 packets
	for _, tc := range []struct {
		name string
		imp  emulation.Impairments
		at   []time.Duration
		want []int // wire packets of each message
	}{
		{"untouched", emulation.Impairments{}, []time.Duration{0}, []int{10}},
		{"every fourth lost", emulation.Impairments{LoseEvery: 4}, []time.Duration{0}, []int{3, 3, 2}},
		{"all doubled", emulation.Impairments{Duplicate: 1}, []time.Duration{0}, []int{1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1}},
		{"all corrupted", emulation.Impairments{Corrupt: 1}, []time.Duration{0}, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"too big but the last", emulation.Impairments{MTU: 600}, []time.Duration{0}, []int{1}},
		// A packet has 1054 bytes: at 84.32 Mbit/s it takes 100 us.
		{
			"by wake-up",
			emulation.Impairments{Rate: 84_320_000},
			[]time.Duration{99 * time.Microsecond, 100 * time.Microsecond, 450 * time.Microsecond, time.Second},
			[]int{1, 3, 6},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorkbench(t, tc.imp, 1500)
			vnet, frame := s.run(0, s.packets(), false)
			w.arrive(0, vnet, frame)
			var got []int
			for _, at := range tc.at {
				for _, m := range w.depart(emulation.Time(at)) {
					count := 1
					if m.vnet.kind() != wholePacket {
						count = (len(m.frame) - int(m.vnet.headerLength) + s.size - 1) / s.size
					}
					got = append(got, count)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("messages of %v wire packets, want %v", got, tc.want)
			}
			w.wantIdle()
		})
	}
}

// What the relay cannot forward is in a counter, by wire packets where it knows them.
func TestUnitsThatCannotBeForwardedAreCounted(t *testing.T) {
	s := sending{version: 4, size: 1000, payload: make([]byte, 9_500)} // 10 packets
	vnet, unit := s.run(0, 10, false)
	strange := vnet
	strange.segmentSize = 0
	for _, tc := range []struct {
		name string
		mtu  int
		vnet vnetHeader
		fr   frame
		want stats
	}{
		{"VLAN tag", 1500, vnet, frame{data: unit, length: len(unit), status: unix.TP_STATUS_VLAN_VALID}, stats{tagged: 1}},
		{"cut short", 1500, vnet, frame{data: unit, length: maxUnit + 1}, stats{oversized: 1}},
		{"hostile header", 1500, strange, frame{data: unit, length: len(unit)}, stats{unfinished: 1}},
		{"nothing", 1500, vnetHeader{}, frame{}, stats{unfinished: 1}},
		{"segments beyond the MTU", 1039, vnet, frame{data: unit, length: len(unit)}, stats{oversized: 10}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorkbench(t, emulation.Impairments{}, tc.mtu)
			w.f.arriveUnit(0, tc.fr, tc.vnet)
			tc.want.state = StateUp
			if w.f.stats != tc.want {
				t.Errorf("counted %+v, want %+v", w.f.stats, tc.want)
			}
			w.wantIdle()
		})
	}
}

// A direction that holds as much as it may loses what comes next, counts it, and is
// whole again when the rest has left.
func TestUnitsHaveAMemoryLimit(t *testing.T) {
	s := sending{version: 4, size: 1000, payload: make([]byte, 60_500)}
	vnet, unit := s.run(0, s.packets(), false)
	w := newWorkbench(t, emulation.Impairments{Delay: time.Second}, 1500)
	const fit = poolLimit / (1<<16 + 64)
	for range fit + 100 {
		w.arrive(0, vnet, unit)
	}
	held := w.f.model.Counters().HeldPackets
	if lost := w.f.stats.noMemory; lost == 0 || lost%61 != 0 || held+int(lost) != (fit+100)*61 || held < (fit-2*poolChunk)*61 {
		t.Errorf("%d packets are held, %d lost, of %d", held, lost, (fit+100)*61)
	}
	for w.f.model.Counters().HeldPackets > 0 {
		w.depart(emulation.Time(time.Second))
	}
	w.wantIdle()
	w.arrive(emulation.Time(time.Second), vnet, unit)
	if got := len(w.depart(emulation.Time(2 * time.Second))); got != 1 {
		t.Errorf("%d messages after the flood, want 1", got)
	}
}

// Whatever comes from the socket is forwarded or counted, and nothing is kept.
func FuzzArrival(f *testing.F) {
	for _, s := range []sending{
		{version: 4, size: 100, payload: make([]byte, 250)},
		{version: 6, size: 100, payload: make([]byte, 250), udp: true},
	} {
		v, frame := s.run(0, 3, false)
		unit := append(make([]byte, vnetSize), frame...)
		v.write(unit)
		f.Add(unit)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < vnetSize || len(data) > vnetSize+maxUnit {
			return
		}
		w := newWorkbench(t, emulation.Impairments{Duplicate: 0.5, Corrupt: 0.2}, 1500)
		w.arrive(0, readVnet(data), data[vnetSize:])
		arrived := w.f.model.Counters().ArrivedPackets
		if refused := w.f.stats.unfinished + w.f.stats.oversized; (arrived == 0) != (refused > 0) {
			t.Errorf("%d packets arrived, %d were refused", arrived, refused)
		}
		w.depart(0)
		w.wantIdle()
	})
}

func TestOffloadFor(t *testing.T) {
	slow := emulation.Impairments{Rate: 50e6}
	fast := slices.Repeat(emulation.Trace{1}, 90) // opportunities of 1500 bytes in each millisecond
	for _, tc := range []struct {
		name     string
		up, down emulation.Impairments
		want     Offload
	}{
		{"slow both ways", slow, slow, OffloadOff},
		{"a gigabit down", slow, emulation.Impairments{Rate: 1e9}, OffloadOn},
		{"a gigabit up", emulation.Impairments{Rate: 1e9}, slow, OffloadOn},
		{"no rate up", emulation.Impairments{Delay: time.Second}, slow, OffloadOn},
		{"a slow trace", emulation.Impairments{Capacity: &emulation.Trace{1, 2, 3}}, slow, OffloadOff},
		{"a fast trace", emulation.Impairments{Capacity: &fast}, slow, OffloadOn},
	} {
		if got := OffloadFor(tc.up, tc.down); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
