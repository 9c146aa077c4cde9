package emulation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObserveDrops(t *testing.T) {
	for _, tc := range []struct {
		name string
		imp  Impairments
		at   []Time // arrivals of 1000 bytes
		want []Drop // of them, or of those that have left by the end
	}{
		{"loss", Impairments{Loss: 1}, []Time{5}, []Drop{{At: 5, Reason: DropLoss, Size: 1000}}},
		{"mtu", Impairments{MTU: 100}, []Time{5}, []Drop{{At: 5, Reason: DropMTU, Size: 1000}}},
		{"black hole", Impairments{Blackhole: true}, []Time{5}, []Drop{{At: 5, Reason: DropBlackhole, Size: 1000}}},
		{
			"full queue: behind what waits, not what is in transmission",
			Impairments{Rate: 8000, Queue: Queue{Packets: 2}},
			[]Time{0, 1, 2, 3},
			[]Drop{{At: 3, Reason: DropQueue, Size: 1000, QueuedPackets: 2, QueuedBytes: 2000}},
		},
		{
			"drop-head: what is left",
			Impairments{Rate: 8000, Queue: Queue{Packets: 2, Discipline: DropHead}},
			[]Time{0, 1, 2, 3},
			[]Drop{{At: 3, Reason: DropQueue, Size: 1000, QueuedPackets: 1, QueuedBytes: 1000}},
		},
		{
			"codel: when the serialiser turns to it",
			Impairments{Rate: 8000, Queue: Queue{Discipline: CoDel, Target: 1, Interval: 2}},
			[]Time{0, 1, 2, 3, 4, 5},
			// Each takes a second: the one at 1 s is too late, and so is the one at 2 s.
			[]Drop{{At: 2e9, Reason: DropAQM, Size: 1000, QueuedPackets: 3, QueuedBytes: 3000}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := NewDirection(tc.imp, NewSeed(1, "l", "up"))
			if err != nil {
				t.Fatal(err)
			}
			var got []Drop
			d.ObserveDrops(func(drop Drop) { got = append(got, drop) })
			for _, at := range tc.at {
				d.Enqueue(at, packet(1000))
			}
			d.Dequeue(2e9 + 1)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("drops (-want +got):\n%s", diff)
			}
			if n := d.Counters().DroppedPackets(); n != uint64(len(tc.want)) {
				t.Errorf("counted %d drops, observed %d", n, len(tc.want))
			}
		})
	}
}

func TestCountersPlus(t *testing.T) {
	a := Counters{1, 2, 3, 4, 5, 6, [numDropReasons]uint64{1, 2, 3, 4, 5}, 7, 8, 9, 10, 11, 12, 13, 14}
	want := Counters{2, 4, 6, 8, 10, 12, [numDropReasons]uint64{2, 4, 6, 8, 10}, 14, 16, 18, 20, 22, 24, 26, 28}
	if diff := cmp.Diff(want, a.Plus(a)); diff != "" {
		t.Errorf("sum (-want +got):\n%s", diff)
	}
}

func TestCountersQueued(t *testing.T) {
	d, err := NewDirection(Impairments{Rate: 8000, Delay: ms}, NewSeed(1, "l", "up"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		d.Enqueue(0, packet(1000))
	}
	if c := d.Counters(); c.QueuedPackets != 3 || c.QueuedBytes != 3000 || c.HeldPackets != 4 {
		t.Errorf("queued %d packets, %d bytes, of %d held; want 3, 3000, 4", c.QueuedPackets, c.QueuedBytes, c.HeldPackets)
	}
}

// A queue's time is at the rate of the moment, also where a schedule that stays sets
// something else than the rate.
func TestQueueTimeFollowsTheRate(t *testing.T) {
	steps := &Schedule{Columns: StepDelay, Steps: []Step{{Delay: ms}}}
	imp := Impairments{Rate: 8000, Steps: steps, Queue: Queue{Time: 2e9}}
	d, err := NewDirection(imp, NewSeed(1, "l", "up"))
	if err != nil {
		t.Fatal(err)
	}
	imp.Rate = 16000
	if err := d.Set(1, imp); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		d.Enqueue(1, packet(1000))
	}
	if c := d.Counters(); c.QueuedPackets != 4 {
		t.Errorf("%d packets wait, want 4: 2 s at 16 kbit/s", c.QueuedPackets)
	}
	if got := d.Impairments(); !got.SameAs(imp) {
		t.Errorf("in force: %+v, want %+v", got, imp)
	}
}
