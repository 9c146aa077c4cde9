package lab

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

// twoRates is twoLinks with a rate for the impaired one, lte.
func twoRates(up, down emulation.Rate) topologies.Topology {
	t := twoLinks()
	queue := func(r emulation.Rate) (q emulation.Queue) {
		if r != 0 {
			q.Time = 20 * time.Millisecond
		}
		return q
	}
	t.Links[0].Up = emulation.Impairments{Rate: up, Delay: time.Millisecond, Queue: queue(up)}
	t.Links[0].Down = emulation.Impairments{Rate: down, Delay: time.Millisecond, Queue: queue(down)}
	return t
}

// Offloads stay on where the relay serves a fast link, and nowhere else.
func TestPlanOfOffloads(t *testing.T) {
	for _, tc := range []struct {
		name     string
		up, down emulation.Rate
		backend  string
		want     string
	}{
		{"slow, relay", 50e6, 10e6, BackendRelay, "turn offloads off"},
		{"below a gigabit, relay", 999e6, 999e6, BackendRelay, "turn offloads off"},
		{"a gigabit one way, relay", 1e9, 50e6, BackendRelay, "leave offloads on"},
		{"a gigabit the other way, relay", 50e6, 1e9, BackendRelay, "leave offloads on"},
		{"no rate, relay", 0, 0, BackendRelay, "leave offloads on"},
		{"fast, netem", 10e9, 10e9, BackendNetem, "turn offloads off"},
		{"no rate, netem", 0, 0, BackendNetem, "turn offloads off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, s := range NewPlan(twoRates(tc.up, tc.down), "x", tc.backend).Steps {
				if strings.Contains(s.Do, "offloads") {
					got = append(got, s.Do)
				}
			}
			if want := []string{tc.want, tc.want}; !slices.Equal(got, want) {
				t.Errorf("steps %q, want %q", got, want)
			}
		})
	}
}

// A fast link of the relay has offloads on, says so, and carries a stream in units.
func TestFastLinkTakesUnits(t *testing.T) {
	for _, tc := range []struct {
		rate  emulation.Rate
		units bool
	}{{2e9, true}, {100e6, false}} {
		t.Run(fmt.Sprint(tc.rate), func(t *testing.T) {
			h, name := newHost(t), uniqueName()
			lab := mustUp(t, h, UpConfig{Topology: twoRates(tc.rate, tc.rate), Name: name, Backend: BackendRelay}).Lab
			const size = 5_000_000
			stream(t, lab, "10.77.0.2:0", size)
			facts, err := lab.Facts()
			if err != nil {
				t.Fatal(err)
			}
			for _, node := range []string{"client", "server"} {
				if got := facts.Nodes[node].Interfaces["lte"].Offloads["tx-tcp-segmentation"]; got != tc.units {
					t.Errorf("%s has segmentation %v, want %v", node, got, tc.units)
				}
			}
			if len(facts.Wires) != 1 || facts.Wires["lte"].Units != tc.units {
				t.Errorf("facts of the wires: %+v, want units %v", facts.Wires, tc.units)
			}
			wires, err := lab.Wires(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// Wire packets are counted, and none is larger than the link's MTU.
			if up := wires[0].Up; wires[0].Units != tc.units || up.PassedPackets < size/1400 || up.BackendLost != 0 {
				t.Errorf("wire %+v, want units %v and %d packets at least", wires[0], tc.units, size/1400)
			}
		})
	}
}

// stream sends so many bytes from client to server by TCP.
func stream(t *testing.T, lab *Lab, address string, size int64) {
	t.Helper()
	var listener net.Listener
	var conn net.Conn
	if err := lab.Do("server", func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := lab.Do("client", func() (err error) {
		conn, err = net.Dial("tcp", listener.Addr().String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer conn.Close()
		_, _ = conn.Write(make([]byte, size))
	}()
	in, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if n, err := io.Copy(io.Discard, in); n != size || err != nil {
		t.Fatalf("%d bytes came, want %d: %v", n, size, err)
	}
}
