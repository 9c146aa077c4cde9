package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// fast is a link of 40 and 20 Mbit/s with 20 ms of round trip.
func fast() Link {
	queue := emulation.Queue{Time: 60 * time.Millisecond}
	return Link{
		Name: "fast", Up: emulation.Impairments{Rate: 20e6, Delay: 10 * time.Millisecond, Queue: queue},
		Down:   emulation.Impairments{Rate: 40e6, Delay: 10 * time.Millisecond, Queue: queue},
		Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"),
	}
}

// download is a transfer of so many bytes from the server.
func download(l Link, bytes int64) Config {
	return Config{Links: []Link{l}, Seed: 1, Bulk: workload.Bulk{Seed: 2, Bytes: bytes, Streams: 1}, Sender: Server, Bound: time.Hour}
}

func TestTransfers(t *testing.T) {
	lossy := fast()
	lossy.Up.Loss, lossy.Down.Loss = 0.01, 0.01
	lossy.Up.Jitter, lossy.Down.Jitter = 2*time.Millisecond, 2*time.Millisecond
	v6 := fast()
	v6.Client, v6.Server = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	tests := []struct {
		name      string
		config    Config
		atLeast   float64 // goodput, bit/s
		rate      float64 // of the link
		wantBytes int64
	}{
		{"down", download(fast(), 20<<20), 33e6, 40e6, 20 << 20},
		{"up", func() Config { c := download(fast(), 10<<20); c.Sender = Client; return c }(), 16e6, 20e6, 10 << 20},
		{"over IPv6", download(v6, 10<<20), 32e6, 40e6, 10 << 20},
		{"with loss and jitter", download(lossy, 5<<20), 4e6, 40e6, 5 << 20},
		{"streams and connections", func() Config {
			c := download(fast(), 8_000_003)
			c.Bulk.Streams, c.Connections = 3, 2
			return c
		}(), 25e6, 40e6, 8_000_003},
		{"newreno", func() Config { c := download(fast(), 5<<20); c.Congestion = "newreno"; return c }(), 25e6, 40e6, 5 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Run(t.Context(), tt.config)
			if err != nil || r.Err() != nil {
				t.Fatalf("%v, %v", err, r.Err())
			}
			if r.Receiver.Bytes != tt.wantBytes || r.Sender.Bytes != tt.wantBytes {
				t.Errorf("sent %d, received %d bytes; want %d", r.Sender.Bytes, r.Receiver.Bytes, tt.wantBytes)
			}
			if g := r.Goodput(); g < tt.atLeast || g > tt.rate {
				t.Errorf("goodput %.1f Mbit/s, want %.1f to the link's %.1f", g/1e6, tt.atLeast/1e6, tt.rate/1e6)
			}
			t.Logf("goodput %.2f Mbit/s, set up %v, took %v, %d events, srtt %v", r.Goodput()/1e6, r.SetUp, r.Elapsed, r.Events, r.Stats[0].Paths[0].SRTT)
		})
	}
}
