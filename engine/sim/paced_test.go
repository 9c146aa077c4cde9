package sim

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func simulatedCalls() *workload.Paced {
	return &workload.Paced{Kind: workload.RPC, Seed: 1, Count: 200, Duration: 2 * time.Second, Size: 500, Response: 2000, Drain: 10 * time.Second, Streams: 2}
}

func simulatedFrames() *workload.Paced {
	return &workload.Paced{Kind: workload.CBR, Seed: 1, Count: 200, Duration: 2 * time.Second, Size: 2500, Deadline: 200 * time.Millisecond, Drain: 10 * time.Second, Streams: 1}
}

// paced is a download, or an upload, of w over one link.
func paced(w *workload.Paced, sender Side) Config {
	c := download(fast(), 0)
	c.Paced, c.Sender = w, sender
	return c
}

// Requests and frames in virtual time: each takes what the link takes, not more.
func TestPacedInVirtualTime(t *testing.T) {
	for _, w := range []*workload.Paced{simulatedCalls(), simulatedFrames()} {
		for _, sender := range []Side{Client, Server} {
			t.Run(w.Kind.String()+" from the "+sender.String(), func(t *testing.T) {
				c := paced(w, sender)
				c.Connections = 2
				r, err := Run(t.Context(), c)
				if err != nil || r.Err() != nil {
					t.Fatal(err, r.Err())
				}
				p := r.Receiver.Paced
				if p == nil || p.Delivered != 200 || p.Late != 0 {
					t.Fatalf("the receiver says %+v, want 200 messages in time", p)
				}
				// Its waits are whole round trips of the link, give or take what queues.
				delay := c.Links[0].Up.Delay + c.Links[0].Down.Delay
				if w.Kind == workload.CBR {
					delay /= 2
				}
				if p.Latency.P50 < delay || p.Latency.P50 > delay+20*time.Millisecond {
					t.Errorf("half of them took %v or more over a link of %v", p.Latency.P50, delay)
				}
				again, err := Run(t.Context(), c)
				if diff := cmp.Diff(r.Receiver, again.Receiver); err != nil || diff != "" {
					t.Errorf("one seed, two results: %v\n%s", err, diff)
				}
			})
		}
	}
}

// hole is a black hole of the first link in both directions, from one time to another.
func hole(c *Config, from, to time.Duration) {
	set := func(at time.Duration, on bool) emulation.Change {
		return emulation.Change{At: at, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: on}}}
	}
	line := emulation.Timeline{set(from, true)}
	if to > 0 {
		line = append(line, set(to, false))
	}
	c.Links[0].UpTimeline, c.Links[0].DownTimeline = line, line
}

func TestPacedThroughABlackHole(t *testing.T) {
	for _, w := range []*workload.Paced{simulatedCalls(), simulatedFrames()} {
		c := paced(w, Server)
		hole(&c, time.Second, 1600*time.Millisecond)
		r, err := Run(t.Context(), c)
		if err != nil || r.Err() != nil {
			t.Fatalf("%v: %v %v", w.Kind, err, r.Err())
		}
		p := r.Receiver.Paced
		if p.Lost() != 0 || p.MaxGap < 500*time.Millisecond || p.Latency.P90 < 200*time.Millisecond || w.Kind == workload.CBR && (p.Late < 35 || p.Late > 150) {
			t.Errorf("%v: %+v; want what was due in the 600 ms of the hole to be late, and no less", w.Kind, p)
		}
	}
}

// What a link swallows for good is lost, and the exchange ends all the same.
func TestPacedIntoABlackHole(t *testing.T) {
	for _, w := range []*workload.Paced{simulatedCalls(), simulatedFrames()} {
		c := paced(w, Server)
		hole(&c, time.Second, 0)
		r, err := Run(t.Context(), c)
		if err != nil {
			t.Fatalf("%v: %v", w.Kind, err)
		}
		p := r.Receiver.Paced
		if p.Lost() < 90 || p.Lost() > 115 || !r.Receiver.Intact {
			t.Errorf("%v: %d lost of 200, intact %v; want those that were due in the hole, and what came intact", w.Kind, p.Lost(), r.Receiver.Intact)
		}
		if gap := 11 * time.Second; p.MaxGap < gap-100*time.Millisecond || p.MaxGap > gap+100*time.Millisecond {
			t.Errorf("%v: longest gap %v, want from the hole to the end, %v", w.Kind, p.MaxGap, gap)
		}
		if w.Kind == workload.RPC && (p.Latency.Count != 200 || p.Latency.P90 < 10*time.Second) {
			t.Errorf("latency %+v; want the waiting of those without an answer in it", p.Latency)
		}
	}
}
