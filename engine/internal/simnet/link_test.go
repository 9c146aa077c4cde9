package simnet

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestConnectRefuses(t *testing.T) {
	own := func(a, b string) [2][]netip.Addr {
		return [2][]netip.Addr{{netip.MustParseAddr(a)}, {netip.MustParseAddr(b)}}
	}
	good := own("10.1.0.1", "10.1.0.2")
	tests := []struct {
		name string
		c    LinkConfig
		want string
	}{
		{"a name that is taken", LinkConfig{Name: "link", Addresses: good}, "of that name"},
		{"an address that is taken", LinkConfig{Addresses: own("10.0.0.1", "10.1.0.2")}, "10.0.0.1 is taken"},
		{"one address for both ends", LinkConfig{Addresses: own("10.1.0.1", "10.1.0.1")}, "10.1.0.1 is taken"},
		{"no address", LinkConfig{Addresses: [2][]netip.Addr{good[0], nil}}, "end 1 has no address"},
		{"an IPv4 address in IPv6 clothes", LinkConfig{Addresses: own("::ffff:10.1.0.1", "10.1.0.2")}, "no IPv4 or IPv6"},
		{"an mtu below the headers", LinkConfig{MTU: 27, Addresses: good}, "mtu 27"},
		{"impossible impairments", LinkConfig{Addresses: good, Impairments: [2]emulation.Impairments{{}, {Loss: 2}}}, "down: impairments: loss 2"},
		{"an impossible timeline", LinkConfig{Addresses: good, Timelines: [2]emulation.Timeline{{{At: -1}}, {}}}, "up: change 1 at -1ns"},
		{"a probability above 1", LinkConfig{Addresses: good, Faults: [2]Faults{{Duplicate: 1.5}, {}}}, "1.5 is not a probability"},
		{"reordering without a wait", LinkConfig{Addresses: good, Faults: [2]Faults{{Reorder: 1}, {}}}, "reorders nothing"},
		{"an empty blackout", LinkConfig{Addresses: good, Faults: [2]Faults{{Blackouts: []Blackout{{2, 2}}}, {}}}, "ends before it begins"},
		{"no mtu at all", LinkConfig{Addresses: good, Faults: [2]Faults{{MTUs: []MTUChange{{1, 0}}}, {}}}, "mtu 0"},
		{"a rebinding to the same", LinkConfig{Addresses: good, Faults: [2]Faults{{Rebindings: []Rebinding{{At: 1}}}, {}}}, "changes nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, LinkConfig{})
			if tt.c.Name == "" {
				tt.c.Name = "another"
			}
			_, err := r.Connect(r.nodes[0], r.nodes[1], tt.c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Connect = %v, want an error that says %q", err, tt.want)
			}
			if len(r.links) != 1 || len(r.directions) != 2 {
				t.Error("a refused link is in the network")
			}
		})
	}
	r := newRig(t, 1, LinkConfig{})
	if _, err := r.Connect(r.nodes[0], r.nodes[0], LinkConfig{Name: "loop", Addresses: good}); err == nil {
		t.Error("a node was linked to itself")
	}
}

func TestSetChangesTheLinkUnderWay(t *testing.T) {
	r := newRig(t, 1, up(emulation.Impairments{Delay: time.Second}))
	start := r.Now()
	r.send(2, 100, 3*time.Second)
	r.At(start.Add(2*time.Second), func() {
		if err := r.link.Patch(Up, emulation.Patch{Fields: emulation.FieldDelay, Values: emulation.Impairments{Delay: 5 * time.Second}}); err != nil {
			t.Error(err)
		}
	})
	r.run()
	if got, want := r.b.got[0].at.Sub(start), time.Second; got != want {
		t.Errorf("before the change: %v, want %v", got, want)
	}
	if got, want := r.b.got[1].at.Sub(start), 8*time.Second; got != want {
		t.Errorf("after the change: %v, want %v", got, want)
	}
	if err := r.link.Patch(Down, emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: -1}}); err == nil || !strings.Contains(err.Error(), "link link, down") {
		t.Errorf("Set with a negative loss = %v, want an error that names the direction", err)
	}
}
