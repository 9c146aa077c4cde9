package relay

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	benchFor    = 700 * time.Millisecond // of a flow
	benchRounds = 5
)

// arm is one way for packets from a to b and what is measured on it, again and again.
type arm struct {
	name string
	rig  func(testing.TB) *rig
	wire *Wire                       // nil: no relay
	flow func(*rig) (payload uint64) // nil: round trips are measured
	got  map[string][]float64        // by unit, one a round
	r    *rig
}

// BenchmarkRelay measures TCP and UDP flows through relay processes, and the round
// trip of single packets on idle wires, beside the same way without a relay. Sender,
// relay and receiver share this machine's cores. All arms are up from the start and
// take turns, in another order each round; the figures are the medians of the rounds.
func BenchmarkRelay(b *testing.B) {
	arms := benchArms()
	for i := range arms {
		a := &arms[i]
		a.got = map[string][]float64{}
		a.r = a.rig(b).quiet()
		// As in a lab's nodes: room for twice the product of bandwidth and delay.
		a.r.sysctl("net/ipv4/tcp_rmem", "4096 131072 33554432")
		a.r.sysctl("net/ipv4/tcp_wmem", "4096 65536 33554432")
		if a.wire != nil {
			a.r.start(*a.wire)
		}
	}
	for range benchRounds {
		for _, i := range rand.Perm(len(arms)) {
			arms[i].measure(b)
		}
	}
	for _, a := range arms {
		b.Run(a.name, func(b *testing.B) {
			for b.Loop() { // measured already
			}
			b.ReportMetric(0, "ns/op")
			for unit, values := range a.got {
				slices.Sort(values)
				b.ReportMetric(values[len(values)/2], unit)
			}
			if values := a.got["Mbit/s"]; values != nil {
				b.ReportMetric(values[0], "Mbit/s-min")
				b.ReportMetric(values[len(values)-1], "Mbit/s-max")
			}
		})
	}
}

func benchArms() []arm {
	exact := func(w Wire) *Wire { return &w }
	super := func(w Wire) *Wire { w.Offload = OffloadOn; return &w }
	arms := []arm{
		{name: "flow=tcp/way=veth/offload=on", rig: newVethRig, flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=bridge/offload=on", rig: newSuperBridgeRig, flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=bridge/offload=off", rig: newBridgeRig, flow: tcpFlow("cubic")},
		{name: "flow=udp/way=bridge/offload=on", rig: newSuperBridgeRig, flow: udpUnitFlow},
		{name: "flow=tcp/way=relay/offload=off/rate=unlimited", rig: newRig, wire: exact(Wire{}), flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=relay/offload=off/rate=1500mbit", rig: newRig, wire: exact(shaped(1.5e9)), flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=relay/offload=off/rate=1000mbit", rig: newRig, wire: exact(shaped(1e9)), flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=relay/offload=off/rate=100mbit", rig: newRig, wire: exact(shaped(100e6)), flow: tcpFlow("cubic")},
		{name: "flow=udp/way=relay/offload=off/rate=unlimited", rig: newRig, wire: exact(Wire{}), flow: udpFlow},
		{name: "flow=tcp/way=relay/offload=on/rate=unlimited", rig: newSuperRig, wire: super(Wire{}), flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=relay/offload=on/rate=5000mbit", rig: newSuperRig, wire: super(shaped(5e9)), flow: tcpFlow("cubic")},
		{name: "flow=tcp/way=relay/offload=on/rate=1000mbit", rig: newSuperRig, wire: super(shaped(1e9)), flow: tcpFlow("cubic")},
		{name: "flow=udp/way=relay/offload=on/rate=unlimited", rig: newSuperRig, wire: super(Wire{}), flow: udpUnitFlow},
	}
	for _, way := range []arm{
		{name: "way=veth/offload=on", rig: newVethRig},
		{name: "way=bridge/offload=off", rig: newBridgeRig},
		{name: "way=relay/offload=off", rig: newRig, wire: exact(Wire{})},
		{name: "way=relay/offload=on", rig: newSuperRig, wire: super(Wire{})},
	} {
		way.name = "flow=ping/" + way.name
		arms = append(arms, way)
	}
	return arms
}

// measure takes one round's figures.
func (a *arm) measure(b *testing.B) {
	note := func(unit string, v float64) { a.got[unit] = append(a.got[unit], v) }
	if a.flow == nil {
		rtt := a.r.roundTrips(100)
		note("us-rtt-min", float64(rtt[0])/1e3)
		note("us-rtt-p50", float64(rtt[len(rtt)/2])/1e3)
		return
	}
	before := a.r.passed()
	began := time.Now()
	payload := a.flow(a.r)
	took := time.Since(began).Seconds()
	note("Mbit/s", float64(payload)*8/1e6/took)
	if a.wire == nil {
		return
	}
	time.Sleep(100 * time.Millisecond) // the wire comes to rest
	after := a.r.passed()
	up := after.wire.Up
	note("%-relay-cpu", 100*(after.cpu-before.cpu).Seconds()/took)
	note("kpps", float64(up.DepartedPackets-before.wire.Up.DepartedPackets)/1e3/took)
	if sent := up.SentUnits - before.wire.Up.SentUnits; sent > 0 {
		note("packets/unit-in", float64(up.ArrivedPackets-before.wire.Up.ArrivedPackets)/float64(up.ArrivedUnits-before.wire.Up.ArrivedUnits))
		note("packets/unit-out", float64(up.DepartedPackets-before.wire.Up.DepartedPackets)/float64(sent))
	}
	// The histogram is of all rounds: the last one's median counts them all.
	note("us-late-p50", float64(up.Lateness.P50)/1e3)
	note("us-late-p99", float64(up.Lateness.P99)/1e3)
	note("relay-drops", float64(up.RelayDrops.Total()+up.SendErrors-before.wire.Up.RelayDrops.Total()-before.wire.Up.SendErrors))
	if a.wire.Offload == OffloadOff {
		// Each frame that came to the wire is at its other end or in a counter.
		note("uncounted", float64(int64((after.in-after.out)-(before.in-before.out)-(up.lost()-before.wire.Up.lost()))))
	}
}

// passage is what has gone through a wire so far.
type passage struct {
	wire    WireStatus
	in, out uint64 // frames into the wire and out of it
	cpu     time.Duration
}

func (r *rig) passed() passage {
	if r.client == nil {
		return passage{}
	}
	return passage{
		wire: r.counters(),
		in:   r.w.statistics("wa").RxPackets,
		out:  r.b.statistics("b").RxPackets,
		cpu:  r.childCPU(),
	}
}

func shaped(rate emulation.Rate) Wire {
	imp := emulation.Impairments{Rate: rate, Delay: 5 * time.Millisecond, Queue: emulation.Queue{Time: 20 * time.Millisecond}}
	return Wire{Up: imp, Down: imp}
}

// lost returns all frames that did not come out, for whatever reason.
func (d DirectionStatus) lost() uint64 {
	n := d.RelayDrops.Total() + d.SendErrors + uint64(d.HeldPackets)
	for _, k := range d.Dropped {
		n += k
	}
	return n
}

func tcpFlow(congestion string) func(*rig) uint64 {
	return func(r *rig) uint64 {
		var listener *net.TCPListener
		r.b.do(func() (err error) {
			listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addrB4.Addr(), 0)))
			return err
		})
		defer listener.Close()
		received := make(chan int64)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				r.tb.Error(err)
				received <- 0
				return
			}
			defer conn.Close()
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 256<<10))
			if err != nil {
				r.tb.Error(err)
			}
			received <- n
		}()
		var conn *net.TCPConn
		r.a.do(func() (err error) {
			conn, err = net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
			return err
		})
		onSocket(r.tb, conn, func(fd int) error {
			return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
		})
		data := make([]byte, 256<<10)
		for end := time.Now().Add(benchFor); time.Now().Before(end); {
			if _, err := conn.Write(data); err != nil {
				r.tb.Error(err)
				break
			}
		}
		_ = conn.Close()
		return uint64(<-received)
	}
}

// udpFlow sends as fast as one thread can and says what arrived.
func udpFlow(r *rig) uint64 {
	from, to := r.udp(addrA4.Addr(), addrB4.Addr())
	received := make(chan uint64)
	go func() {
		var n uint64
		buf := make([]byte, 2048)
		for {
			k, err := to.Read(buf)
			if err != nil {
				received <- n
				return
			}
			n += uint64(k)
		}
	}()
	data := make([]byte, 1472)
	for end := time.Now().Add(benchFor); time.Now().Before(end); {
		_, _ = from.Write(data)
	}
	time.Sleep(100 * time.Millisecond)
	_ = to.Close()
	return <-received
}

// udpUnitFlow sends as fast as one thread can, 44 datagrams a call.
func udpUnitFlow(r *rig) uint64 {
	from, to := r.udp(addrA4.Addr(), addrB4.Addr())
	onSocket(r.tb, from, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1472)
	})
	onSocket(r.tb, to, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	received := make(chan uint64)
	go func() {
		var n uint64
		buf := make([]byte, 1<<16)
		for {
			k, err := to.Read(buf)
			if err != nil {
				received <- n
				return
			}
			n += uint64(k)
		}
	}()
	data := make([]byte, 44*1472)
	for end := time.Now().Add(benchFor); time.Now().Before(end); {
		_, _ = from.Write(data)
	}
	time.Sleep(100 * time.Millisecond)
	_ = to.Close()
	return <-received
}

// childCPU returns the processor time that the relay process has used, in steps
// of the kernel's tick.
func (r *rig) childCPU() time.Duration {
	r.tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.child.Process.Pid))
	if err != nil {
		r.tb.Fatal(err)
	}
	var user, system int64 // fields 14 and 15 of proc(5), in 1/100 s
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		r.tb.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
