package lab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/topologies"
)

// A NAT forgets by hand, with and without a conductor, and by the timeline.
func TestRebind(t *testing.T) {
	quietly := home()
	eventfully := home()
	eventfully.Start = topologies.StartManual
	eventfully.Events = []topologies.Event{{At: 50 * time.Millisecond, Kind: topologies.EventRebind, Node: "home"}}
	for _, top := range []topologies.Topology{quietly, eventfully} {
		h := newHost(t)
		l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName()}).Lab
		if l.Backend() != BackendDirect {
			t.Fatalf("backend %s, want direct: no link needs a wire", l.Backend())
		}
		there := netip.AddrPortFrom(addressesOf(top, "wan", "server")[0], 7000)
		server := udp(t, l, "server", there)
		client := udp(t, l, "client", netip.AddrPortFrom(addressesOf(top, "lan", "client")[0], 6000))
		f, err := l.Follow()
		if err != nil {
			t.Fatal(err)
		}
		first := exchange(t, client, server, there)
		if err := l.Rebind(t.Context(), "home"); err != nil {
			t.Fatal(err)
		}
		second := exchange(t, client, server, there)
		if second == first || second.Addr() != first.Addr() {
			t.Errorf("after Rebind the server sees %v, before %v, want another port", second, first)
		}
		wantTexts(t, awaitChanges(t, f, 1), "hand: home rebind")
		if len(top.Events) == 0 {
			continue
		}
		if err := l.StartClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTexts(t, awaitChanges(t, f, 2), "timeline: clock started", "timeline: home rebind")
		if third := exchange(t, client, server, there); third == second {
			t.Errorf("after the event the server sees %v as before", third)
		}
	}
}
