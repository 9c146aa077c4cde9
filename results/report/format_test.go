package report

import (
	"math"
	"testing"
)

func TestDigits3(t *testing.T) {
	tests := []struct {
		in   float64
		want string
	}{
		{0, "0"},
		{78.123, "78.1"},
		{9.995, "9.99"}, // the double nearest to 9.995 lies below it
		{9.996, "10.0"},
		{99.96, "100"},
		{999.6, "1000"},
		{123456, "123000"},
		{1, "1.00"},
		{0.9996, "1.00"},
		{0.0512, "0.0512"},
		{0.000123456, "0.000123"},
		{-12.34, "-12.3"},
		{math.Inf(1), "+Inf"},
	}
	for _, tt := range tests {
		if got := digits3(tt.in); got != tt.want {
			t.Errorf("digits3(%v): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestUnitFollowsTheRoundedValue(t *testing.T) {
	tests := []struct {
		bps  float64
		want string
	}{
		{0, "0 Mbit/s"},
		{512, "0.000512 Mbit/s"},
		{999.4e6, "999 Mbit/s"},
		{999.6e6, "1.00 Gbit/s"},
		{12.34e9, "12.3 Gbit/s"},
	}
	for _, tt := range tests {
		u := unitOf(tt.bps)
		if got := u.format(tt.bps) + " " + u.name; got != tt.want {
			t.Errorf("%v bit/s: got %q, want %q", tt.bps, got, tt.want)
		}
	}
}
