package driver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestSignalStays(t *testing.T) {
	s, over := newSignal(), make(chan struct{})
	s.set()
	s.set() // no more than one
	if err := s.wait(t.Context(), over); err != nil {
		t.Errorf("a signal that was set: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := s.wait(ctx, over); !errors.Is(err, why) {
		t.Errorf("a signal that was taken: got %v, want %v", err, why)
	}
	close(over)
	if err := s.wait(t.Context(), over); err != nil {
		t.Errorf("all is over: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	past, future, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour), time.Now().Add(time.Millisecond)
	tests := []struct {
		name string
		set  []time.Time
		want bool
	}{
		{"none", nil, false},
		{"in the past", []time.Time{past}, true},
		{"in the future", []time.Time{future}, false},
		{"taken away", []time.Time{past, {}}, false},
		{"put off", []time.Time{past, future}, false},
		{"brought forward", []time.Time{future, past}, true},
		{"twice in the past", []time.Time{past, past}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d deadline
			for _, at := range tt.set {
				d.set(at)
			}
			if got := d.passed(); got != tt.want {
				t.Errorf("passed: %t, want %t", got, tt.want)
			}
			d.set(time.Time{})
		})
	}
	t.Run("comes", func(t *testing.T) {
		var d deadline
		waiting := d.done()
		d.set(soon)
		<-waiting
		d.set(soon) // after its timer
		<-d.done()
	})
	t.Run("set by many", func(t *testing.T) {
		var d deadline
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 100 {
					d.set(time.Now().Add(time.Duration(i) * time.Microsecond))
				}
			})
		}
		wg.Wait()
		<-d.done()
	})
}
