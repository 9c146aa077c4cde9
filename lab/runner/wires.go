package runner

import "github.com/tquiclab/tquiclab/lab"

// wiresSince returns what each wire has done between two readings. Lateness is
// not a count: the later reading's stands.
func wiresSince(before, after []lab.WireStatus) []lab.WireStatus {
	var diff []lab.WireStatus
	for _, a := range after {
		d := a
		b := wire(before, a.Link)
		if b == nil {
			b = &lab.WireStatus{}
		}
		d.Up = directionSince(b.Up, a.Up)
		d.Down = directionSince(b.Down, a.Down)
		diff = append(diff, d)
	}
	return diff
}

func directionSince(before, after lab.DirectionStatus) lab.DirectionStatus {
	sub := func(a, b uint64) uint64 { return a - min(a, b) }
	d := after
	d.ArrivedPackets = sub(after.ArrivedPackets, before.ArrivedPackets)
	d.PassedPackets = sub(after.PassedPackets, before.PassedPackets)
	d.PassedBytes = sub(after.PassedBytes, before.PassedBytes)
	d.BackendLost = sub(after.BackendLost, before.BackendLost)
	d.Dropped = map[string]uint64{}
	for reason, n := range after.Dropped {
		if n := sub(n, before.Dropped[reason]); n > 0 {
			d.Dropped[reason] = n
		}
	}
	return d
}
