package sampler

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
)

// net2 is two namespaces, client and server, joined by an interface pair lte.
type net2 map[string]*netns.NS

func newNet2(t *testing.T) net2 {
	t.Helper()
	n := net2{}
	for _, node := range []string{"client", "server"} {
		name := "tqltest-" + rand.Text()[:8]
		ns, err := netns.Create(name, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(ns.Close(), netns.Remove(name)); err != nil {
				t.Error(err)
			}
		})
		// IPv6 would announce itself at a moment of its own choice.
		quiet := link.Sysctl{Name: "net.ipv6.conf.default.disable_ipv6", Value: "1"}
		if err := link.SetSysctls(ns, []link.Sysctl{quiet}); err != nil {
			t.Fatal(err)
		}
		n[node] = ns
	}
	end := func(node string, last byte) link.End {
		return link.End{
			NS: n[node], Name: "lte", MTU: 1500, MAC: net.HardwareAddr{2, 0x74, 0x71, 0, 0, last},
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 79, 0, last}), 24)},
		}
	}
	client, server := end("client", 1), end("server", 2)
	if err := link.CreateVeth(client, server); err != nil {
		t.Fatal(err)
	}
	for e, peer := range map[*link.End]link.End{&client: server, &server: client} {
		neighbours := []link.Neighbour{{Address: peer.Addresses[0].Addr(), MAC: peer.MAC}}
		if err := link.AddNeighbours(e.NS, "lte", neighbours); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (n net2) do(node string, f func() error) error {
	ns, ok := n[node]
	if !ok {
		return errors.New("no node " + node)
	}
	return ns.Do(f)
}

// send sends datagrams from the client to a port where nobody listens; the
// server's refusals are limited by the kernel and not counted on.
func (n net2) send(t *testing.T, count, size int) {
	t.Helper()
	err := n.do("client", func() error {
		c, err := net.Dial("udp4", "10.79.0.2:9")
		if err != nil {
			return err
		}
		defer c.Close()
		for range count {
			// The port is closed: an earlier refusal may come back as an error.
			for {
				if _, err = c.Write(make([]byte, size)); err == nil {
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	clientLTE = Interface{Node: "client", Link: "lte"}
	serverLTE = Interface{Node: "server", Link: "lte"}
)

func open(t *testing.T, n net2) *Reader {
	t.Helper()
	r, err := Open([]Interface{clientLTE, serverLTE}, n.do)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestTotalsCountFrames(t *testing.T) {
	n := newNet2(t)
	n.send(t, 5, 100) // before the sampling: not counted
	var last Sample
	samples := 0
	s, err := Start(open(t, n), func(got Sample) { last = got; samples++ })
	if err != nil {
		t.Fatal(err)
	}
	const packets, payload = 200, 1000
	n.send(t, packets, payload)
	got, err := s.Stop()
	if err != nil {
		t.Fatal(err)
	}
	const headers = 14 + 20 + 8 // Ethernet, IPv4, UDP
	for _, tt := range []struct {
		name           string
		bytes, packets uint64
	}{
		{"sent", got[clientLTE].TxBytes, got[clientLTE].TxPackets},
		{"received", got[serverLTE].RxBytes, got[serverLTE].RxPackets},
	} {
		if tt.packets != packets || tt.bytes != packets*(payload+headers) {
			t.Errorf("%s %d packets of %d bytes in all, want %d of %d", tt.name, tt.packets, tt.bytes, packets, packets*(payload+headers))
		}
	}
	// The last sample is taken when all is over.
	if samples == 0 || len(last.Records) != 2 {
		t.Fatalf("%d samples, the last with %d records; want some with 2", samples, len(last.Records))
	}
	if last.Records[0].Interface != clientLTE || last.Records[1].Counters.RxBytes != got[serverLTE].RxBytes {
		t.Errorf("last sample %+v does not end at the totals %+v", last.Records, got)
	}
	if last.Records[0].T != float64(last.At.Microseconds())/1e3 {
		t.Errorf("record at %v ms in a sample at %v", last.Records[0].T, last.At)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	n := newNet2(t)
	for _, i := range []Interface{{Node: "client", Link: "wlan"}, {Node: "router", Link: "lte"}} {
		if _, err := Open([]Interface{clientLTE, i}, n.do); err == nil {
			t.Errorf("Open(%v): no error", i)
		}
	}
}

// An interface that vanishes ends the sampling with an error, not with zeros.
func TestVanishedInterfaceIsAnError(t *testing.T) {
	n := newNet2(t)
	s, err := Start(open(t, n), func(Sample) {})
	if err != nil {
		t.Fatal(err)
	}
	h, err := n["client"].Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.LinkByName("lte")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Stop(); err == nil {
		t.Errorf("Stop = %v without an error", got)
	}
}

func TestReadAfterClose(t *testing.T) {
	r := open(t, newNet2(t))
	r.Close()
	r.Close()
	if _, err := r.Read(); err == nil {
		t.Error("Read after Close: no error")
	}
}

func TestRates(t *testing.T) {
	prev := Record{T: 100, Counters: Counters{RxBytes: 1000, TxBytes: 50}}
	for _, tt := range []struct {
		name string
		cur  Record
		want Rates
	}{
		{"bytes over time", Record{T: 300, Counters: Counters{RxBytes: 26000, TxBytes: 50}}, Rates{Rx: 1e6}},
		{"no time passed", Record{T: 100, Counters: Counters{RxBytes: 26000}}, Rates{}},
		{"counter went back", Record{T: 300}, Rates{}},
	} {
		if diff := cmp.Diff(rates(prev, tt.cur), tt.want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", tt.name, diff)
		}
	}
}
