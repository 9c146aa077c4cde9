package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// The first packet on one wire starts the timelines of all, also of those where nothing
// is sent.
func TestOneClockForAllWires(t *testing.T) {
	one, two := newRig(t).quiet(), newRig(t).quiet()
	timeline := emulation.Timeline{{Patch: hole}}
	r := startSpec(Spec{Lab: "rig", Wires: []Wire{{Link: "one", UpTimeline: timeline}, {Link: "two", DownTimeline: timeline}}}, one, two)
	one.flow(100, addrA4.Addr(), addrB4.Addr()).send(1, 0)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s, err := r.client.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Wires[0].Up.Impairments.Blackhole && s.Wires[1].Down.Impairments.Blackhole {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after the first packet: %+v", s)
		}
	}
}

// A change of the timeline takes effect at its instant, not when a thread gets round to
// it: what is dropped arrived within the hole, to the nanosecond, and the packets around
// it came through.
func TestTimelineIsExact(t *testing.T) {
	const begin, end = 50 * ms, 120 * ms
	through := patch(emulation.FieldBlackhole, emulation.Impairments{})
	r := newRig(t).quiet()
	r.start(Wire{Up: emulation.Impairments{Delay: 5 * ms}, UpTimeline: emulation.Timeline{{At: begin, Patch: hole}, {At: end, Patch: through}}})
	f := r.flow(100, addrA4.Addr(), addrB4.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	drops, following, ended := make(chan Drop, 10_000), make(chan struct{}), make(chan error)
	go func() {
		ended <- r.client.Drops(ctx, func() { close(following) }, func(d Drop) error {
			drops <- d
			return nil
		})
	}()
	<-following
	for until := time.Now().Add(2 * end); time.Now().Before(until); time.Sleep(200 * time.Microsecond) {
		f.send(1, 0)
	}
	s := r.until("an idle wire", func(s WireStatus) bool { return s.Up.ArrivedPackets == uint64(f.sent) && s.Up.HeldPackets == 0 })
	f.receive(int(s.Up.DepartedPackets))
	var first, last time.Duration
	for i := range s.Up.Dropped["blackhole"] {
		d := <-drops
		if last = time.Duration(*d.SinceStart); i == 0 {
			first = last
		}
	}
	cancel()
	<-ended
	if n := s.Up.Dropped["blackhole"]; n == 0 || first < begin || last >= end {
		t.Errorf("%d packets were dropped that arrived from %v to %v, want some, all from %v to %v", n, first, last, begin, end)
	}
	// One gap in the numbers, as wide as the hole took packets.
	gaps := 0
	for i := 1; i < len(f.got); i++ {
		if f.got[i] != f.got[i-1]+1 {
			gaps++
		}
	}
	if gaps != 1 || !slices.Contains(f.got, 0) || !slices.Contains(f.got, uint32(f.sent-1)) {
		t.Errorf("%d gaps in %d packets, %d of which came through", gaps, f.sent, len(f.got))
	}
}
