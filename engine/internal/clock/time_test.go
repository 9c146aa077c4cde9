package clock

import (
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	tests := []struct {
		name string
		t    Time
		d    time.Duration
		want Time
	}{
		{"forwards", 5, 3, 8},
		{"backwards", 5, -3, 2},
		{"never stays", Never, time.Second, Never},
		{"never stays when going back", Never, -time.Second, Never},
		{"no overflow", Never - 1, time.Second, Never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.t.Add(tt.d); got != tt.want {
				t.Errorf("Time(%d).Add(%d) = %d, want %d", tt.t, tt.d, got, tt.want)
			}
		})
	}
}

func TestOrNever(t *testing.T) {
	if got := Time(0).OrNever(); got != Never {
		t.Errorf("an unset time compares as %d, want Never", got)
	}
	if got := Time(7).OrNever(); got != 7 {
		t.Errorf("a set time compares as %d, want 7", got)
	}
}
