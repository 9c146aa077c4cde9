package proto

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestStreamQueue(t *testing.T) {
	var q streamQueue
	if q.front() != nil {
		t.Fatal("an empty queue has a front")
	}
	in, out := wire.StreamID(0), wire.StreamID(0)
	push := func(n int) {
		for range n {
			q.push(&Stream{id: in})
			in++
		}
	}
	pop := func(n int) {
		for range n {
			if front := q.front(); front.id != out || q.pop() != front {
				t.Fatalf("stream %d in front, want %d", front.id, out)
			}
			out++
		}
	}
	push(8)
	pop(5)
	push(5)  // around the end
	push(20) // and growing from there
	pop(20)
	push(3)
	pop(int(in - out))
	if q.front() != nil || q.n != 0 {
		t.Errorf("%d streams left, want none", q.n)
	}
}
