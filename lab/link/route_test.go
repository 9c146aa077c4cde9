package link

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAddRoutes(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	routes := []Route{
		{To: netip.MustParsePrefix("10.77.9.0/24"), Via: netip.MustParseAddr("10.77.0.2"), Link: "lte"},
		{To: netip.MustParsePrefix("fd74:7171:9::/64"), Via: netip.MustParseAddr("fd74:7171::2"), Link: "lte"},
		{To: netip.MustParsePrefix("10.77.0.0/24"), Link: "lte", Table: 1000},
		{To: netip.MustParsePrefix("fd74:7171::/64"), Link: "lte", Table: 1000},
		{To: netip.MustParsePrefix("0.0.0.0/0"), Table: 1000},
		{To: netip.MustParsePrefix("::/0"), Table: 1000},
	}
	rules := []Rule{{netip.MustParseAddr("10.77.0.1"), 1000}, {netip.MustParseAddr("fd74:7171::1"), 1000}}
	if err := AddRoutes(a, routes, rules); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		command string
		want    []string
	}{
		{"ip route", []string{"10.77.9.0/24 via 10.77.0.2 dev lte"}},
		{"ip -6 route", []string{"fd74:7171:9::/64 via fd74:7171::2 dev lte"}},
		{"ip route show table 1000", []string{"10.77.0.0/24 dev lte", "unreachable default"}},
		{"ip -6 route show table 1000", []string{"fd74:7171::/64 dev lte", "unreachable default"}},
		{"ip rule", []string{"1000:\tfrom 10.77.0.1 lookup 1000"}},
		{"ip -6 rule", []string{"1000:\tfrom fd74:7171::1 lookup 1000"}},
	} {
		got := output(t, a, strings.Fields(tt.command)...)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", tt.command, want, got)
			}
		}
	}
	// What is not there is missed.
	check := routeAdder{links: map[string]int{}}
	h, err := a.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	check.h = h
	if err := check.checkRoutes([]Route{{To: netip.MustParsePrefix("10.77.8.0/24"), Link: "lte"}}); err == nil {
		t.Error("a route that does not exist was read back")
	}
	if err := check.checkRules([]Rule{{netip.MustParseAddr("10.77.0.1"), 1001}}); err == nil {
		t.Error("a rule that does not exist was read back")
	}
}

func TestAddRoutesSaysWhich(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]Route{
		"10.77.9.0/24 via 10.78.0.2 dev lte": {To: netip.MustParsePrefix("10.77.9.0/24"), Via: netip.MustParseAddr("10.78.0.2"), Link: "lte"},
		"10.77.9.0/24 dev wifi":              {To: netip.MustParsePrefix("10.77.9.0/24"), Link: "wifi"},
	} {
		if err := AddRoutes(a, []Route{r}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("AddRoutes = %v, want an error that names %q", err, want)
		}
	}
}

// A batch fails with the route that the kernel refused, wherever in it that is.
func TestAddRoutesInBatches(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	via := netip.MustParseAddr("10.77.0.2")
	route := func(i int) Route {
		return Route{To: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 80, byte(i), 0}), 24), Via: via, Link: "lte"}
	}
	var routes []Route
	for i := range 3*batchSize + 1 {
		routes = append(routes, route(i))
	}
	if err := AddRoutes(a, routes, nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(output(t, a, "ip", "route"), "via 10.77.0.2"); got != len(routes) {
		t.Errorf("%d routes, want %d", got, len(routes))
	}
	for _, again := range []int{0, batchSize + 3, len(routes) - 1} {
		more := make([]Route, 0, len(routes))
		for i := range routes {
			r := route(i)
			r.Table = 2000 + again
			if i == again {
				r.Table = 0 // is there already
			}
			more = append(more, r)
		}
		if err := AddRoutes(a, more, nil); !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), route(again).To.String()) {
			t.Errorf("route %d again: %v, want EEXIST and which", again, err)
		}
	}
}
