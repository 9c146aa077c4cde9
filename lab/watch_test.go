package lab

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/sampler"
)

// What two looks at a wire and at a plain link come to.
func TestSampleFromTwoLooks(t *testing.T) {
	w := watcher{lab: &Lab{state: state{Topology: twoLinks()}}}
	const second = time.Second
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	up := DirectionStatus{PassedPackets: 10, PassedBytes: 10_000, Dropped: map[string]uint64{"loss": 1, "queue": 5}, BackendLost: 1, At: 100 * second}
	later := DirectionStatus{
		PassedPackets: 30, PassedBytes: 35_000, Dropped: map[string]uint64{"loss": 4, "queue": 5}, BackendLost: 3, HeldPackets: 7,
		Queue: newQueueStatus(4, 5000, 10e6), LatenessP99: 5, LatenessMax: 9, State: "down", At: 102 * second,
	}
	idle := DirectionStatus{PassedPackets: 3, PassedBytes: 300, At: 50 * second} // both times: nothing came
	lan := sampler.Interface{Node: "server", Link: "lan"}
	before := look{
		at: begin, clock: 100*second + time.Millisecond, totals: sampler.Totals{lan: {RxBytes: 1000, RxPackets: 1}},
		wires: map[string]WireStatus{"lte": {Link: "lte", Up: up, Down: idle}},
	}
	now := look{
		at: begin.Add(2 * second), clock: 102*second + 50*time.Millisecond, totals: sampler.Totals{lan: {RxBytes: 3000, RxPackets: 5}},
		wires: map[string]WireStatus{"lte": {Link: "lte", Up: later, Down: idle}},
	}
	none := map[string]uint64{}
	want := Sample{At: now.at, Seconds: 2, Flows: []Flow{
		{
			Link: "lte", Direction: "up", From: "client", To: "server", RateBPS: 100_000, PacketRate: 10, Packets: 20,
			Dropped: map[string]uint64{"loss": 3}, BackendLost: 2, HeldPackets: 7,
			Queue: &QueueStatus{Packets: 4, Bytes: 5000, Delay: 4 * time.Millisecond}, LatenessP99: 5, LatenessMax: 9, State: "down",
		},
		{Link: "lte", Direction: "down", From: "server", To: "client", Dropped: none},
		{Link: "lan", Direction: "up", From: "client", To: "server", RateBPS: 8000, PacketRate: 2, Packets: 4, Dropped: none},
		{Link: "lan", Direction: "down", From: "server", To: "client", Dropped: none},
	}}
	if diff := cmp.Diff(want, w.since(before, now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// A relay that was started anew counts from nothing.
	if got := w.since(now, before).Flows[0]; got.Packets != 0 || got.RateBPS != 0 || got.BackendLost != 0 || len(got.Dropped) != 0 {
		t.Errorf("counters that went back give %+v, want zeros", got)
	}
}

func TestQueueStatus(t *testing.T) {
	for _, tt := range []struct {
		bytes emulation.ByteCount
		rate  emulation.Rate
		want  time.Duration
	}{{0, 10e6, 0}, {1250, 10e6, time.Millisecond}, {1250, 0, 0}} {
		if got := newQueueStatus(1, tt.bytes, tt.rate).Delay; got != tt.want {
			t.Errorf("%d bytes at %d bit/s wait for %v, want %v", tt.bytes, tt.rate, got, tt.want)
		}
	}
}

// A real lab: a queue that is kept full is seen, with the link's rate; so is the
// traffic of a link without a wire; the lab's end ends the watch with a reason.
func TestWatch(t *testing.T) {
	h, name := newHost(t), uniqueName()
	l := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay}).Lab
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, address := range []string{"10.77.0.2:9", "10.77.1.2:9"} {
		go flood(ctx, t, l, address)
	}
	var lteUp, lanUp Flow
	enough := errors.New("enough")
	samples := 0
	err := l.Watch(t.Context(), 200*time.Millisecond, func(s Sample) error {
		lteUp, lanUp = s.Flows[0], s.Flows[2]
		samples++
		seen := lteUp.Queue != nil && lteUp.Queue.Packets > 10 && lteUp.Queue.Delay > 0 &&
			lteUp.RateBPS > 8e6 && lteUp.RateBPS < 12e6 && lteUp.HeldPackets >= lteUp.Queue.Packets &&
			lanUp.Packets > 0 && lanUp.RateBPS > 0 && lanUp.Queue == nil
		if seen || samples == 50 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || samples == 50 {
		t.Errorf("Watch = %v; after %d samples lte up is %+v with queue %+v, lan up %+v; want a queue, 10 Mbit/s, and packets", err, samples, lteUp, lteUp.Queue, lanUp)
	}
	cancel()

	// Another lab of the same name is not the one that is watched.
	err = l.Watch(t.Context(), 50*time.Millisecond, func(Sample) error {
		if _, err := h.Down(t.Context(), name); err != nil {
			return err
		}
		_, err := h.Up(t.Context(), UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
		return err
	})
	if !errors.Is(err, ErrNotUp) || !strings.Contains(err.Error(), "taken down") {
		t.Errorf("Watch of a lab that was taken down = %v, want ErrNotUp", err)
	}
	if err := l.Watch(t.Context(), 0, nil); err == nil {
		t.Error("an interval of 0: no error")
	}
}

// flood sends datagrams from the client faster than the link's 10 Mbit/s, in bursts,
// until ctx ends.
func flood(ctx context.Context, t *testing.T, l *Lab, address string) {
	var c net.Conn
	if err := l.Do("client", func() (err error) {
		c, err = net.Dial("udp4", address)
		return err
	}); err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for ctx.Err() == nil {
		for range 10 {
			_, _ = c.Write(make([]byte, 1200)) // the port is closed: a refusal may come back
		}
		time.Sleep(5 * time.Millisecond)
	}
}
