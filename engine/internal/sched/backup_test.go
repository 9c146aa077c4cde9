package sched

import "testing"

func TestBackup(t *testing.T) {
	loaded := wifi(0) // its queue is long
	loaded.SRTT = 200 * ms
	check(t, "backup", []choice{
		{"the lowest RTT", []View{lte(0), wifi(1)}, bulk(), 1},
		{"a full path is waited for", []View{lte(0), full(wifi(1))}, bulk(), Wait},
		{"a paced path is waited for", []View{lte(0), paced(wifi(1), ms)}, bulk(), Wait},
		{"the second when the first is suspect", []View{lte(0), suspect(wifi(1))}, bulk(), 0},
		{"the backup when all others are suspect", []View{suspect(lte(0)), suspect(wifi(1)), standby(lte(2))}, bulk(), 2},
		{"load does not change the path", []View{loaded, lte(1)}, bulk(), 0},
		{"a measured path before one that is not", []View{unmeasured(0), lte(1)}, bulk(), 1},
		{"even the end", []View{lte(0), full(wifi(1))}, ending(plent), Wait},
	})
}
