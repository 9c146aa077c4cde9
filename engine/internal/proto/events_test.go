package proto

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestEventsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q events
		var want []wire.ResetToken
		n := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					n++
					q.push(Event{Kind: IssuedToken, Token: wire.ResetToken{n}})
					want = append(want, wire.ResetToken{n})
				}
			},
			"pop": func(t *rapid.T) {
				e, ok := q.pop()
				if ok != (len(want) > 0) || ok && e.Token != want[0] {
					t.Fatalf("got %v, %v; %d wait", e.Token, ok, len(want))
				}
				if ok {
					want = want[1:]
				}
			},
		})
	})
}

func TestEventsHoldNothingTaken(t *testing.T) {
	var q events
	q.push(Event{Kind: AddressToken, Data: []byte("token")})
	q.pop()
	for _, e := range q.ring {
		if e.Data != nil {
			t.Error("the queue still holds the data of a taken event")
		}
	}
}

func TestEventsDoNotAllocate(t *testing.T) {
	var q events
	q.push(Event{})
	q.pop()
	if n := testing.AllocsPerRun(100, func() {
		for range 5 {
			q.push(Event{Kind: StreamReadable})
		}
		for range 5 {
			q.pop()
		}
	}); n > 0 {
		t.Errorf("%v allocations per 5 events, want 0", n)
	}
}
