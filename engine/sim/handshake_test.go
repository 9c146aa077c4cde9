package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// setups is a run of handshakes over the links.
func setups(parallel int, d time.Duration, links ...Link) Config {
	c := bond(0, links...)
	c.Handshake = &workload.Handshake{Seed: 1, Parallel: parallel, Duration: d, Bound: 10 * time.Second}
	return c
}

// handshakes returns what the dialler says, wherever the data goes.
func handshakes(t *testing.T, c Config) workload.HandshakeReport {
	t.Helper()
	r := mustRun(t, c)
	if c.Sender == Server {
		return *r.Receiver.Handshake
	}
	return *r.Sender.Handshake
}

// Over a link that only delays, a session is open after one round trip and has its
// answer after two, to the microsecond that the histogram has; the next one begins with
// the answer. So 200 ms hold 100 sessions of 2 ms, one after the other.
func TestHandshakesTakeTwoRoundTrips(t *testing.T) {
	const rtt = time.Millisecond
	for _, sender := range []Side{Client, Server} {
		for _, parallel := range []int{1, 3} {
			c := setups(parallel, 200*time.Millisecond, delaying("a", 1, rtt))
			c.Sender = sender
			got := handshakes(t, c)
			done := int64(100 * parallel)
			same := func(d time.Duration) workload.Latency {
				return workload.Latency{Count: done, P50: d, P90: d, P99: d, P999: d, Max: d}
			}
			got.Dial.HDR, got.FirstByte.HDR = "", ""
			want := workload.HandshakeReport{Done: done, Elapsed: 200 * time.Millisecond, MaxGap: 2 * rtt, Dial: same(rtt), FirstByte: same(2 * rtt)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d at a time, data from the %s (-want +got):\n%s", parallel, sender, diff)
			}
		}
	}
}

// What has begun in time is finished: the last session of 2 ms begins at 198.
func TestTheLastHandshakeIsFinished(t *testing.T) {
	got := handshakes(t, setups(1, 199*time.Millisecond, delaying("a", 1, time.Millisecond)))
	if got.Done != 100 || got.Elapsed != 200*time.Millisecond {
		t.Errorf("%d sessions in %v, want 100 in 200ms", got.Done, got.Elapsed)
	}
}

// Each session is dialled as any connection is: with a first link that cannot carry it,
// 250 ms later over the next one.
func TestHandshakesRace(t *testing.T) {
	const rtt = time.Millisecond
	got := handshakes(t, setups(1, time.Second, narrow("a", 1), delaying("b", 2, rtt)))
	// 252 ms each: those that begin at 0, 252, 504 and 756.
	if got.Done != 4 || got.Elapsed != 4*252*time.Millisecond || got.MaxGap != 252*time.Millisecond {
		t.Errorf("%d sessions in %v, the longest gap %v; want 4 in 1.008s and 252ms", got.Done, got.Elapsed, got.MaxGap)
	}
}

// One seed gives one report, over a link that drops and delays as it likes.
func TestHandshakesRepeat(t *testing.T) {
	run := func(seed uint64) workload.HandshakeReport {
		c := setups(4, 2*time.Second, between("a", 1, 5e6, 30*time.Millisecond), between("b", 2, 5e6, 50*time.Millisecond))
		c.Links[0].Up.Loss, c.Links[0].Down.Loss, c.Seed = 0.05, 0.05, seed
		return handshakes(t, c)
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Errorf("the same run again (-first +again):\n%s", diff)
	}
	if first.Done < 50 || first.Failed > 0 || first.FirstByte.P50 < 60*time.Millisecond || first.Dial.P50 >= first.FirstByte.P50 {
		t.Errorf("%+v: want sessions of two round trips of 30 ms or more", first)
	}
	if other := run(2); other.FirstByte.HDR == first.FirstByte.HDR {
		t.Error("two seeds had the same luck")
	}
}

// Sessions that a link swallows are counted as failed at their bound, with a reason,
// and both sides come to their end although the control session is gone.
func TestHandshakesIntoABlackHole(t *testing.T) {
	c := setups(2, 2*time.Second, delaying("a", 1, time.Millisecond))
	c.Handshake.Bound = 500 * time.Millisecond
	c.Links[0].UpTimeline = emulation.Timeline{{At: time.Second, Patch: emulation.Patch{
		Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true},
	}}}
	r, err := Run(t.Context(), c)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	h := r.Receiver.Handshake
	// The control session is set up in 1 ms, so the hole comes after 999 of the sessions'
	// 2000 ms. Those under way fail, and those 510 ms later; the next would begin too late.
	if h.Done < 990 || h.Done > 1000 || h.Failed != 4 || !strings.Contains(h.Reason, "no answer after 500ms") {
		t.Errorf("%d done, %d failed for %q; want those of the first second, and 4 without an answer", h.Done, h.Failed, h.Reason)
	}
	if h.MaxGap < time.Second {
		t.Errorf("longest gap %v, want the hole's", h.MaxGap)
	}
	if r.Sender.Bytes < r.Receiver.Bytes {
		t.Errorf("the listener has written %d bytes, the dialler read %d", r.Sender.Bytes, r.Receiver.Bytes)
	}
}

// Sessions that are over are closed on both sides: those that linger are those of the
// last moments.
func TestHandshakesAreClosed(t *testing.T) {
	r := &run{Config: setups(1, time.Second, delaying("a", 1, time.Millisecond))}
	r.Connections, r.SetUp = 1, time.Second
	err := r.build()
	if err == nil {
		err = r.connect(t.Context())
	}
	if err == nil {
		err = r.transfer(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.lab.Close()
	if done := r.report(nil).Receiver.Handshake.Done; done != 500 {
		t.Errorf("%d sessions, want 500", done)
	}
	for _, h := range []*Host{r.lab.Client, r.lab.Server} {
		if n := len(h.Conns()); n > 100 {
			t.Errorf("the %s has %d connections, want few", h.side, n)
		}
	}
	r.lab.runFor(t, time.Second)
	for _, h := range []*Host{r.lab.Client, r.lab.Server} {
		if n := len(h.Conns()); n != 1 {
			t.Errorf("a second later the %s has %d connections, want that of the beginning", h.side, n)
		}
	}
}

func TestHandshakeConfig(t *testing.T) {
	c := setups(0, time.Second, delaying("a", 1, time.Millisecond))
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "0 at the same time") {
		t.Errorf("no dialler: %v", err)
	}
	c = setups(1, time.Second, delaying("a", 1, time.Millisecond))
	c.Paced = simulatedCalls()
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "two workloads") {
		t.Errorf("two workloads: %v", err)
	}
}
