package sched

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// deficits is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with rounds as
// fine as can be. There, each round gives a path its quantum of bytes, and a path whose
// deficit covers a packet sends it. Here a path may send a train before it has earned
// it, and is passed over until it has: instead of going through empty rounds, each
// account has the round in which the path is due again, and the one that is due first
// goes first. A round is one byte of all paths together, of which each gets its share; so
// a train of n bytes takes n/share rounds, whatever its size, and shares may be any
// numbers.
//
// A path without room is passed over and stays due, so it makes up for it afterwards: for
// as much as a window of its own (at least 64 KiB). What it could not use beyond that,
// it loses; it cannot carry its share, and the others have.
type deficits struct {
	accounts []account // as the paths of the last sync
	spare    []account
	round    float64 // in which the last train left
}

// account is the part of one path.
type account struct {
	id    wire.PathID
	share float64 // above 0
	due   float64 // the round in which it may send next
	arear float64 // rounds that it may be behind
}

// maxPaths is how many paths there are without allocation: proto.Config.Paths' limit.
const maxPaths = 16

// leastShare keeps the absurdly small from being nothing.
const leastShare = 1e-9

// leastArear is what every path may make up for, bytes: the longest train.
const leastArear = 64 << 10

func newDeficits() deficits {
	return deficits{accounts: make([]account, 0, maxPaths), spare: make([]account, 0, maxPaths)}
}

// sync makes the accounts those of paths, in their order. A path that is new, or back, is
// due at once and has nothing to make up for.
func (d *deficits) sync(paths []View) {
	if d.same(paths) {
		return
	}
	next := d.spare[:0]
	for i := range paths {
		a := account{id: paths[i].ID, due: d.round}
		if old := d.find(paths[i].ID); old != nil {
			a = *old
		}
		next = append(next, a)
	}
	d.accounts, d.spare = next, d.accounts
}

func (d *deficits) same(paths []View) bool {
	if len(paths) != len(d.accounts) {
		return false
	}
	for i := range paths {
		if paths[i].ID != d.accounts[i].id {
			return false
		}
	}
	return true
}

func (d *deficits) find(id wire.PathID) *account {
	for i := range d.accounts {
		if d.accounts[i].id == id {
			return &d.accounts[i]
		}
	}
	return nil
}

// weigh sets the share of a path, a part of 1.
func (d *deficits) weigh(i int, share float64, v *View) {
	a := &d.accounts[i]
	a.share = max(share, leastShare)
	a.arear = float64(max(v.Window, leastArear)) / a.share
}

// first returns the path of the group that is due first among those with room.
func (d *deficits) first(paths []View, g group) int {
	best := Wait
	for i := range paths {
		if g.takes(&paths[i]) && (best == Wait || d.accounts[i].due < d.accounts[best].due) {
			best = i
		}
	}
	return best
}

// sent charges a path with n bytes.
func (d *deficits) sent(id wire.PathID, n wire.ByteCount) {
	a := d.find(id)
	if a == nil || a.share == 0 {
		return
	}
	d.round = max(d.round, a.due)
	a.due += float64(n) / a.share
	for i := range d.accounts {
		b := &d.accounts[i]
		b.due = max(b.due, d.round-b.arear)
	}
}
