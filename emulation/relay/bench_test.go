package relay

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const benchFor = 2 * time.Second

// BenchmarkRelay measures a TCP flow and a UDP flow through a relay process over
// one wire, all on this machine: sender, relay and receiver share its cores.
// Each iteration moves data for a fixed time, so ns/op means nothing.
func BenchmarkRelay(b *testing.B) {
	for _, bench := range []struct {
		name string
		wire Wire
		run  func(*rig) uint64 // returns payload bytes delivered
	}{
		{"flow=tcp/cc=cubic/rate=unlimited", Wire{}, tcpFlow("cubic")},
		{"flow=tcp/cc=bbr/rate=unlimited", Wire{}, tcpFlow("bbr")},
		{"flow=tcp/cc=cubic/rate=1gbit", shaped(1e9), tcpFlow("cubic")},
		{"flow=tcp/cc=cubic/rate=100mbit", shaped(100e6), tcpFlow("cubic")},
		{"flow=udp/rate=unlimited", Wire{}, udpFlow},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := newRig(b).quiet()
			in, out := r.w.statistics("wa").RxPackets, r.b.statistics("b").RxPackets
			r.start(bench.wire)
			var payload uint64
			cpu, began := r.childCPU(), time.Now()
			for b.Loop() {
				payload += bench.run(r)
			}
			took := time.Since(began)
			b.ReportMetric(100*(r.childCPU()-cpu).Seconds()/took.Seconds(), "%-relay-cpu")
			s := r.report(b, payload, took)
			// Each frame that came to the wire is at its other end or in a counter.
			lost := r.w.statistics("wa").RxPackets - in - (r.b.statistics("b").RxPackets - out)
			b.ReportMetric(float64(int64(lost-s.lost())), "uncounted")
		})
	}
}

func shaped(rate emulation.Rate) Wire {
	imp := emulation.Impairments{Rate: rate, Delay: 5 * time.Millisecond, Queue: emulation.Queue{Time: 20 * time.Millisecond}}
	return Wire{Up: imp, Down: imp}
}

// report waits until the wire is at rest, and prints what went through it.
func (r *rig) report(b *testing.B, payload uint64, took time.Duration) DirectionStatus {
	time.Sleep(200 * time.Millisecond)
	s := r.counters()
	up, down := s.Up, s.Down
	seconds := took.Seconds()
	b.ReportMetric(float64(payload)*8/1e6/seconds, "Mbit/s-goodput")
	b.ReportMetric(float64(up.DepartedBytes)*8/1e6/seconds, "Mbit/s-wire")
	b.ReportMetric(float64(up.DepartedPackets+down.DepartedPackets)/1e3/seconds, "kpps")
	b.ReportMetric(float64(up.RelayDrops.Total()+up.SendErrors), "relay-drops")
	b.ReportMetric(float64(up.Dropped["queue"]), "queue-drops")
	b.ReportMetric(float64(r.a.statistics("a").TxDropped+r.w.statistics("wb").TxDropped), "veth-drops")
	b.ReportMetric(float64(up.SendRetries), "send-retries")
	b.ReportMetric(float64(up.Lateness.P50)/1e3, "us-late-p50")
	b.ReportMetric(float64(up.Lateness.P99)/1e3, "us-late-p99")
	b.ReportMetric(float64(up.Lateness.Max)/1e3, "us-late-max")
	b.ReportMetric(0, "ns/op")
	return up
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
