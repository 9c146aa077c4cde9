package proto

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestAmplification(t *testing.T) {
	// RFC 9000, section 8: until validation it MUST be at most three times what was received.
	var a amplification
	want := func(n wire.ByteCount) {
		t.Helper()
		if got := a.room(); got != n {
			t.Errorf("room for %d bytes, want %d", got, n)
		}
	}
	want(0)
	a.received(1200)
	want(3600)
	a.sent(1200)
	want(2400)
	a.sent(2400)
	want(0)
	a.sent(100) // a close, which is not held back
	want(0)
	a.received(40)
	want(20)
	if a.validated() {
		t.Error("validated without a reason")
	}
	a.validate()
	if !a.validated() || a.room() < 1<<60 {
		t.Errorf("room for %d bytes after validation", a.room())
	}
}
