package sched

import "testing"

func TestMinRTT(t *testing.T) {
	sent := unmeasured(2)
	sent.InFlight = sent.Window / 2
	check(t, "minrtt", []choice{
		{"the lowest RTT", []View{lte(0), wifi(1)}, bulk(), 1},
		{"the lowest RTT with room", []View{lte(0), full(wifi(1))}, bulk(), 0},
		{"no path idles for another one's pacer", []View{lte(0), paced(wifi(1), ms)}, bulk(), 0},
		{"none with room", []View{full(lte(0)), full(wifi(1))}, bulk(), Wait},
		{"alike: the lower ID", []View{wifi(0), wifi(1)}, bulk(), 0},
		{"a measured path before one that is not", []View{unmeasured(0), lte(1)}, bulk(), 1},
		{"an unmeasured path's first train", []View{full(lte(0)), unmeasured(1)}, bulk(), 1},
		{"not its second", []View{full(lte(0)), full(wifi(1)), sent}, bulk(), Wait},
		{"its second, when no path is measured", []View{sent}, bulk(), 0},
	})
}
