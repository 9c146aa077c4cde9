package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

// mesh is a lab of hosts around a ring of routers: 100 nodes and 200 links are what
// the figures are about.
func mesh(nodes, links int, impaired func(link int) bool) topologies.Topology {
	t := topologies.Topology{Name: "mesh", Seed: 1}
	routers := nodes / 2
	for i := range nodes {
		n := topologies.Node{Name: fmt.Sprintf("n%d", i)}
		if i < routers {
			n.Kind = topologies.Router
		}
		t.Nodes = append(t.Nodes, n)
	}
	for i := range links {
		a, b := i%routers, (i+1+i/routers)%routers // the ring and its chords
		if i >= routers {
			b = routers + i%(nodes-routers) // a host
		}
		l := topologies.Link{Name: fmt.Sprintf("l%d", i), Endpoints: [2]string{t.Nodes[a].Name, t.Nodes[b].Name}, MTU: 1500}
		for end := range 2 {
			l.Addresses[end] = []netip.Prefix{
				netip.MustParsePrefix(fmt.Sprintf("10.77.%d.%d/24", i, end+1)),
				netip.MustParsePrefix(fmt.Sprintf("fd74:7171:0:%x::%d/64", i, end+1)),
			}
		}
		if impaired(i) {
			l.Up = emulation.Impairments{Rate: 10e6, Delay: 5 * time.Millisecond}
			l.Down = l.Up
		}
		t.Links = append(t.Links, l)
	}
	return t
}

// Many wires, many routers: what is far is reached, over either link of a host.
func TestLargeLab(t *testing.T) {
	h, top := newHost(t), mesh(30, 60, func(int) bool { return true })
	l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
	const from, to = "n15", "n29"
	paths := top.Paths(from, to)
	if len(paths) < 2 {
		t.Fatalf("%d paths, want several", len(paths))
	}
	for _, p := range paths {
		there := netip.AddrPortFrom(p.Remote, 7000)
		server, client := udp(t, l, to, there), udp(t, l, from, netip.AddrPortFrom(p.Local, 0))
		exchange(t, client, server, there)
		server.Close()
	}
	wires, err := l.Wires(t.Context())
	if err != nil || len(wires) != len(top.Links) {
		t.Errorf("%d wires, %v, want %d", len(wires), err, len(top.Links))
	}
	if _, err := h.Down(t.Context(), l.Name()); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, h, l.Name())
}

// BenchmarkUp raises and lowers labs in this process, and reports the median time of
// each.
func BenchmarkUp(b *testing.B) {
	b.Run("nodes=2/links=2/wires=1", func(b *testing.B) { benchmarkUp(b, twoLinks()) })
	for _, wires := range []int{0, 200} {
		b.Run(fmt.Sprintf("nodes=100/links=200/wires=%d", wires), func(b *testing.B) {
			benchmarkUp(b, mesh(100, 200, func(int) bool { return wires > 0 }))
		})
	}
}

func benchmarkUp(b *testing.B, t topologies.Topology) {
	h := newHost(b)
	var ups, downs []time.Duration
	for b.Loop() {
		name := uniqueName()
		start := time.Now()
		if _, err := h.Up(b.Context(), UpConfig{Topology: t, Name: name, Backend: BackendRelay}); err != nil {
			b.Fatal(err)
		}
		ups = append(ups, time.Since(start))
		start = time.Now()
		if _, err := h.Down(b.Context(), name); err != nil {
			b.Fatal(err)
		}
		downs = append(downs, time.Since(start))
	}
	b.ReportMetric(medianSeconds(ups), "up-s-median")
	b.ReportMetric(medianSeconds(downs), "down-s-median")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

func medianSeconds(d []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2].Seconds()
}
