package topologies

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// routeTexts are the node's IPv4 routes and rules as ip(8) would say them.
func routeTexts(r NodeRoutes) (texts []string) {
	for _, rule := range r.Rules {
		if rule.From.Is4() {
			texts = append(texts, fmt.Sprintf("from %v table %d", rule.From, rule.Table))
		}
	}
	for _, route := range r.Routes {
		if !route.To.Addr().Is4() {
			continue
		}
		text := route.To.String()
		if route.Via.IsValid() {
			text += " via " + route.Via.String()
		}
		if route.Link != "" {
			text += " dev " + route.Link
		} else {
			text += " unreachable"
		}
		if route.Table != MainTable {
			text += fmt.Sprint(" table ", route.Table)
		}
		texts = append(texts, text)
	}
	return texts
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		name string
		t    Topology
		want map[string][]string
	}{
		{
			"two links between two hosts", network("c", "s", "a: c s", "b: c s"),
			map[string][]string{"c": {
				"from 10.77.0.1 table 1000", "from 10.77.1.1 table 1001",
				"10.77.0.0/24 dev a table 1000", "0.0.0.0/0 unreachable table 1000",
				"10.77.1.0/24 dev b table 1001", "0.0.0.0/0 unreachable table 1001",
			}},
		},
		{
			"one link, one router", network("c", "s", "r router", "a: c r", "x: r s"),
			map[string][]string{"c": {"10.77.1.0/24 via 10.77.0.2 dev a"}, "r": nil, "s": {"10.77.0.0/24 via 10.77.1.1 dev x"}},
		},
		{
			// The unbound way to y is b's: the path over b ends there.
			"two by two", network("c", "s", "r router", "a: c r", "b: c r", "x: r s", "y: r s"),
			map[string][]string{"c": {
				"from 10.77.0.1 table 1000", "from 10.77.1.1 table 1001",
				"10.77.0.0/24 dev a table 1000", "10.77.1.0/24 via 10.77.0.2 dev a table 1000",
				"10.77.2.0/24 via 10.77.0.2 dev a table 1000", "10.77.3.0/24 via 10.77.0.2 dev a table 1000", "0.0.0.0/0 unreachable table 1000",
				"10.77.0.0/24 via 10.77.1.2 dev b table 1001", "10.77.1.0/24 dev b table 1001",
				"10.77.2.0/24 via 10.77.1.2 dev b table 1001", "10.77.3.0/24 via 10.77.1.2 dev b table 1001", "0.0.0.0/0 unreachable table 1001",
				"10.77.2.0/24 via 10.77.0.2 dev a", "10.77.3.0/24 via 10.77.1.2 dev b",
			}},
		},
		{
			"behind a NAT", network("c", "n nat lan", "r router", "s", "lan: c n", "up: n r", "wan: r s"),
			map[string][]string{
				"c": {"10.77.1.0/24 via 10.77.0.2 dev lan", "10.77.2.0/24 via 10.77.0.2 dev lan"},
				"n": {"10.77.2.0/24 via 10.77.1.2 dev up"},
				"r": nil, // not the way to lan
				"s": {"10.77.1.0/24 via 10.77.2.1 dev wan"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range tt.t.Routes() {
				want, asked := tt.want[r.Node]
				if diff := cmp.Diff(want, routeTexts(r)); asked && diff != "" {
					t.Errorf("%s (-want +got):\n%s", r.Node, diff)
				}
			}
		})
	}
}

// The largest file there may be.
func BenchmarkRoutes(b *testing.B) {
	lines := []string{}
	for i := range maxNodes {
		kind := "router"
		if i < maxNodes/2 {
			kind = ""
		}
		lines = append(lines, fmt.Sprintf("n%d %s", i, kind))
	}
	for i := range maxLinks {
		far := maxNodes/2 + i*7%(maxNodes/2)
		near := i
		if near == far {
			near--
		}
		lines = append(lines, fmt.Sprintf("l%d: n%d n%d", i, near, far))
	}
	top := network(lines...)
	b.ReportAllocs()
	for b.Loop() {
		routes := 0
		for _, r := range top.Routes() {
			routes += len(r.Routes)
		}
		b.ReportMetric(float64(routes), "routes")
	}
}
