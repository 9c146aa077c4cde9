package congest

import (
	"testing"
	"time"
)

// RFC 9002, section 7.3.2: MUST set the threshold to half the window, and the window
// to the threshold.
func TestNewRenoHalves(t *testing.T) {
	f := newFlow(t, "newreno")
	f.fill()
	f.advance(f.srtt)
	f.ackAll()
	f.fill()
	f.lose(1)
	f.wantWindow(10 * dgram)
	if got := f.c.State().SSThresh; got != 10*dgram {
		t.Errorf("threshold = %d, want half of %d", got, 20*dgram)
	}
	f.recover()
	f.wantPhase(CongestionAvoidance)
}

// RFC 9002, section 7.3.3: MUST limit the increase to one datagram for each window
// that is acknowledged.
func TestNewRenoGrowsByOneDatagramPerWindow(t *testing.T) {
	f := newFlow(t, "newreno")
	f.fill()
	f.advance(f.srtt)
	f.lose(1)
	f.recover()
	f.wantWindow(5 * dgram)
	acked := dgram // since the window grew; the packet that ended recovery counts
	for n := 5; n < 30; n++ {
		// A window of acknowledgments, one by one.
		grown := 0
		for range n {
			f.fill()
			f.advance(time.Millisecond)
			before := f.window()
			f.ack(1, f.srtt)
			acked += dgram
			if f.window() != before {
				grown++
				if acked < before {
					t.Errorf("the window of %d bytes grew after %d were acknowledged", before, acked)
				}
				acked = 0
			}
		}
		if grown > 1 {
			t.Fatalf("the window of %d datagrams grew %d times in one window of acknowledgments", n, grown)
		}
	}
	if got, want := f.window(), 28*dgram; got < want {
		t.Errorf("window = %d after 25 windows of acknowledgments, want at least %d", got, want)
	}
}
