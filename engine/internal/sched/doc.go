// Package sched decides which path each train of a multipath connection leaves on.
//
// A Scheduler sees the paths as values (View) and what is to be sent (Need); it knows
// neither connections nor packets. Paths that are closed, not validated or given up are
// not shown to it; when acknowledged data is to be sent again on another path is not its
// business either, but proto's.
//
// Files: sched.go has the interface and what it is shown, registry.go the names and the
// default; repair.go chooses for lost data, whatever the scheduler. What schedulers have in common: group.go says which paths may be used at all
// (backup and suspect ones last), estimate.go when data arrives by a path and so keeps
// its end from the slow ones, deficit.go shares out bytes. The schedulers: minrtt.go,
// roundrobin.go, weighted.go, aggregate.go, blest.go, ecf.go, redundant.go, backup.go.
//
// Invariants: Pick returns a path with room of the group that choose names, or Wait; and
// Wait only while some path is sure to get room or to become suspect. With credit and
// data enough no path idles that has room, but under backup. What the end of the data
// waits for is the path that brings all of it sooner; roundrobin, weighted and redundant
// do not, since their purpose is another. Pick and OnSent allocate nothing for up to 16
// paths. One Scheduler serves one connection and has one owner.
//
// Limitations: before its first round trip a path's rate is guessed from its window, so a
// first window on a path that is near and very slow (1 Mbit/s at 4 ms, beside 40 Mbit/s at
// 70 ms) holds up a transfer of 30 KiB by 80 ms, of which the schedulers' own simulation
// in the tests recovers nothing: that is re-injection's. The window that blest spares is
// the connection's; a single stream's own window or a full send buffer it sees only if
// Need.Credit counts it. While a window is too small for all paths, blest leaves the slow
// ones idle, and a receiver that sizes its window by what arrives must do so for the
// longest round trip of all paths.
package sched
