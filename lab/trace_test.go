package lab

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/trace"
	"github.com/tquiclab/tquiclab/lab/journal"
)

const (
	traceSeconds = 5
	tracePacket  = 1500 // bytes of IP packet: one opportunity each
	udpHeaders   = 28
)

// testTraces are capacity traces: a generated one, and a recorded one where the
// machine has any (its licence keeps it out of this repository).
func testTraces(t *testing.T) map[string]emulation.Trace {
	t.Helper()
	made, err := trace.Generate(trace.LTE, 20*time.Second, 3)
	if err != nil {
		t.Fatal(err)
	}
	traces := map[string]emulation.Trace{"generated": made}
	const recorded = "../../shared/traces/Verizon-LTE-short.down"
	f, err := os.Open(recorded)
	if err != nil {
		t.Logf("no recorded trace here: %v", err)
		return traces
	}
	defer f.Close()
	if traces["recorded"], err = trace.ReadMahimahi(recorded, f); err != nil {
		t.Fatal(err)
	}
	return traces
}

// TestTraceIsDelivered holds the relay to a trace, second by second: of a sender that
// always has something waiting, each second brings what the trace has in it, to 2 %.
func TestTraceIsDelivered(t *testing.T) {
	for name, capacity := range testTraces(t) {
		t.Run(name, func(t *testing.T) {
			top := twoLinks()
			top.Links[0].MTU = tracePacket
			top.Links[0].Up = emulation.Impairments{Capacity: &capacity, Queue: emulation.Queue{Packets: 300}}
			lab := mustUp(t, newHost(t), UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
			var failed []int
			for range calibrateTries {
				got := saturate(t, lab, top.Links[0].Addresses)
				failed = nil
				for second := range traceSeconds {
					if want := opportunities(capacity, second) * tracePacket; math.Abs(float64(got[second])/float64(want)-1) > 0.02 {
						t.Logf("second %d: %d bytes delivered, the trace has %d", second, got[second], want)
						failed = append(failed, second)
					}
				}
				if len(failed) == 0 {
					return
				}
				if err := lab.Arm(t.Context(), top.Seed); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("%d times in a row not as the trace; the last time in seconds %v", calibrateTries, failed)
		})
	}
}

// opportunities returns how many a trace has in a second from its start.
func opportunities(tr emulation.Trace, second int) int {
	n := 0
	for _, at := range tr {
		if ms := int(at); ms > 1000*second && ms <= 1000*(second+1) {
			n++
		}
	}
	return n
}

// saturate sends more than the link carries, up, and returns how many bytes of IP packets
// came in each second since the lab's clock started.
func saturate(t *testing.T, l *Lab, addresses [2][]netip.Prefix) [traceSeconds]int {
	t.Helper()
	var client, server *net.UDPConn
	listen := func(to **net.UDPConn, end int) func() error {
		return func() (err error) {
			*to, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addresses[end][0].Addr(), 0)))
			return err
		}
	}
	if err := errors.Join(l.Do("client", listen(&client, 0)), l.Do("server", listen(&server, 1))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), (traceSeconds+1)*time.Second)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
	defer stop()
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	var sending sync.WaitGroup
	sending.Go(func() {
		// Far more than a trace has in a millisecond at its best.
		payload := make([]byte, tracePacket-udpHeaders)
		for ctx.Err() == nil {
			for range 8 {
				_, _ = client.WriteToUDPAddrPort(payload, to) // what finds no room is the queue's matter
			}
			time.Sleep(time.Millisecond)
		}
	})
	type came struct {
		at    int64
		bytes int
	}
	var all []came
	buf := make([]byte, tracePacket)
	for {
		n, _, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			break // the time is over
		}
		all = append(all, came{journal.Now(), n + udpHeaders})
	}
	sending.Wait()
	started, ok, err := l.started(t.Context())
	if err != nil || !ok {
		t.Fatalf("the clock has not started: %v", err)
	}
	var got [traceSeconds]int
	for _, c := range all {
		if second := int((c.at - started) / int64(time.Second)); second < traceSeconds {
			got[second] += c.bytes
		}
	}
	if slices.Max(got[:]) == 0 {
		t.Fatal("nothing came")
	}
	return got
}
