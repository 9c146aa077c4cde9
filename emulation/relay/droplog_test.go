package relay

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestDropLog(t *testing.T) {
	var l dropLog
	running := &course{known: true, from: 100}
	l.add(emulation.Drop{At: 1}, running) // nobody follows
	r := l.follow("lte", "up")
	l.add(emulation.Drop{At: 150, Reason: emulation.DropQueue, Size: 1514, QueuedPackets: 7, QueuedBytes: 9000}, running)
	l.add(emulation.Drop{At: 151, Reason: emulation.DropLoss, Size: 60}, &course{})
	since := int64(50)
	want := []Drop{
		{At: 150, Link: "lte", Way: "up", SinceStart: &since, Reason: "queue", Size: 1514, QueuedPackets: 7, QueuedBytes: 9000},
		{At: 151, Link: "lte", Way: "up", Reason: "loss", Size: 60},
	}
	if diff := cmp.Diff(want, r.read(nil)); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
	if again := r.read(nil); len(again) != 0 {
		t.Errorf("read twice: %+v", again)
	}
	for i := range dropLogSize + 10 {
		l.add(emulation.Drop{At: emulation.Time(i)}, running)
	}
	// The oldest entry counts as under way: the reader cannot tell.
	got := r.read(nil)
	if len(got) != 2+dropLogSize-1 || got[0].Missed+got[1].Missed != 11 || got[2].At != 11 || got[len(got)-1].At != dropLogSize+9 {
		t.Errorf("behind by %d: %d lines, %+v, %+v ... %+v", dropLogSize+10, len(got), got[0], got[2], got[len(got)-1])
	}
	second := l.follow("lte", "up")
	r.end()
	l.add(emulation.Drop{At: 5}, running)
	if n := len(second.read(nil)); n != 1 {
		t.Errorf("the second reader got %d drops, want 1", n)
	}
	second.end()
	if l.ring.Load() != nil {
		t.Error("nobody follows, and the ring is still there")
	}
}

// A reader that is slower than the writer gets whole entries, in order, and knows how
// many it missed.
func TestDropLogUnderLoad(t *testing.T) {
	var l dropLog
	r := l.follow("l", "up")
	defer r.end()
	const n = 200_000
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range n {
			l.add(emulation.Drop{At: emulation.Time(i), Size: emulation.ByteCount(i % 9000), QueuedPackets: i, QueuedBytes: emulation.ByteCount(2 * i)}, &course{})
		}
	})
	var seen, missed uint64
	for seen+missed < n {
		for _, d := range r.read(nil) {
			if d.Missed > 0 {
				missed += d.Missed
				continue
			}
			i := int(d.At)
			if uint64(i) != seen+missed || d.QueuedPackets != i || d.QueuedBytes != emulation.ByteCount(2*i) || int(d.Size) != i%9000 {
				t.Fatalf("after %d and %d missed: %+v", seen, missed, d)
			}
			seen++
		}
	}
	writing.Wait()
	if seen == 0 {
		t.Error("every drop was missed")
	}
}

// Every drop that is counted can be followed, each with its reason, its size and what
// waited.
func TestFollowDrops(t *testing.T) {
	r := newRig(t).quiet()
	r.start(Wire{Up: emulation.Impairments{Rate: 1e6, Queue: emulation.Queue{Packets: 10}, Loss: 0.2, MTU: 1100}})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(5, 0) // before anybody follows
	r.until("an idle wire", func(s WireStatus) bool { return s.Up.ArrivedPackets == 5 && s.Up.HeldPackets == 0 })
	before := r.counters().Up

	drops := make(chan Drop, 1000)
	following, ended := make(chan struct{}), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- r.client.Drops(ctx, func() { close(following) }, func(d Drop) error {
			drops <- d
			return nil
		})
	}()
	<-following
	f.send(100, 0)
	f.size = 1200
	f.send(20, 0)
	s := r.until("an idle wire", func(s WireStatus) bool { return s.Up.ArrivedPackets == 125 && s.Up.HeldPackets == 0 })
	start, ok, err := r.client.Started(t.Context())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	got := map[string]uint64{"aqm": 0, "blackhole": 0}
	var last emulation.Time
	want := uint64(0)
	for _, reason := range []string{"loss", "queue", "mtu"} {
		want += s.Up.Dropped[reason] - before.Dropped[reason]
	}
	for range want {
		d := <-drops
		got[d.Reason]++
		size := emulation.ByteCount(1042)
		if d.Reason == "mtu" {
			size = 1242
		}
		if d.Link != "test" || d.Way != "up" || d.Size != size || d.At < last || d.SinceStart == nil || *d.SinceStart != int64(d.At)-start {
			t.Fatalf("after %d: %+v, started at %d", last, d, start)
		}
		if d.Reason == "queue" && (d.QueuedPackets != 10 || d.QueuedBytes != 10420) {
			t.Fatalf("dropped by a full queue: %+v", d)
		}
		last = d.At
	}
	for reason, n := range s.Up.Dropped {
		if got[reason] != n-before.Dropped[reason] {
			t.Errorf("%s: followed %d drops, counted %d", reason, got[reason], n-before.Dropped[reason])
		}
	}
	if got["loss"] == 0 || got["queue"] == 0 || got["mtu"] == 0 {
		t.Errorf("followed %v: want some of each", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended with %v", err)
	}
	stop := errors.New("enough")
	if err := r.client.Drops(t.Context(), func() { f.send(200, 0) }, func(Drop) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
}
