package simnet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// a sends to b through a NAT that rebinds twice; b answers to whatever it sees.
func TestRebinding(t *testing.T) {
	start := New(1).Now()
	later := func(ms int) clock.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	r := newRig(t, 1, upFaults(Faults{Rebindings: []Rebinding{
		{At: later(20), Ports: 5, Address: netip.MustParseAddr("192.0.2.9")},
		{At: later(10), Ports: 7},
	}}))
	r.b.reply = true
	r.send(3, 100, 10*time.Millisecond) // each in another binding
	r.run()
	var seen []string
	for _, a := range r.b.got {
		seen = append(seen, a.remote.String())
	}
	want := []string{"10.0.0.1:1000", "10.0.0.1:1007", "192.0.2.9:1005"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("b sees a as (-want +got):\n%s", diff)
	}
	// The link takes over 10 ms one way and no time back: when b's first two answers
	// are there, the NAT has forgotten the addresses that they are for.
	if len(r.a.got) != 1 || r.a.got[0].local != addrA || r.a.got[0].remote != addrB || numbers(r.a.got[0]) != 2 {
		t.Errorf("a got %v, want the third answer at its own address", r.a.got)
	}
	if c := r.link.Counters(Down); c.Unrouted != 2 {
		t.Errorf("%d answers had nowhere to go, want 2", c.Unrouted)
	}
	if n := r.small.InUse(); n != 0 {
		t.Errorf("%d buffers are still in use", n)
	}
}

func TestNATTakesBackWhatItGave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.1")}
		n := newNAT([]Rebinding{{
			At:      rapid.SampledFrom([]clock.Time{1, 100}).Draw(t, "at"),
			Ports:   rapid.Uint16().Draw(t, "ports"),
			Address: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}).Draw(t, "address"),
		}})
		inside := netip.AddrPortFrom(rapid.SampledFrom(own).Draw(t, "own"), rapid.Uint16Min(1).Draw(t, "port"))
		outside := n.outside(50, inside)
		if outside.Port() == 0 {
			t.Errorf("%v became %v: no port is 0", inside, outside)
		}
		if got, ok := n.inside(50, outside); !ok || got != inside {
			t.Errorf("%v became %v, which became %v, %v", inside, outside, got, ok)
		}
	})
}

func TestNATKnowsOnlyItsFlows(t *testing.T) {
	n := newNAT([]Rebinding{{At: 10, Address: netip.MustParseAddr("192.0.2.1")}})
	n.outside(1, addrA)
	tests := []struct {
		name string
		now  clock.Time
		to   string
		want bool
	}{
		{"own, before", 9, "10.0.0.1:1000", true},
		{"own, hidden by now", 10, "10.0.0.1:1000", false},
		{"outside", 10, "192.0.2.1:1000", true},
		{"outside, a port that sent nothing", 10, "192.0.2.1:1001", false},
		{"a stranger's", 10, "192.0.2.2:1000", false},
		{"another family", 10, "[fd00::1]:1000", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := n.inside(tt.now, netip.MustParseAddrPort(tt.to)); ok != tt.want {
				t.Errorf("%s is the node's: %v, want %v", tt.to, ok, tt.want)
			}
		})
	}
}
