package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A keep-alive that the congestion window holds back is no reason to be called again
// and again: step fails when a timer stays due.
func TestKeepAliveBehindAFullWindow(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{KeepAlive: 100 * time.Millisecond}})
	p.handshake()
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) { return 0, 0 }
	s, err := p.client().OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	p.idle(5 * time.Second)
	if !p.client().pingWanted {
		t.Error("no PING waits: the window was not full")
	}
}
