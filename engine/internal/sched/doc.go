// Package sched decides which path each train of a multipath connection leaves on.
//
// A Scheduler sees the paths as values (View) and what is to be sent (Need); it knows
// neither connections nor packets. Paths that are closed, not validated or given up are
// not shown to it; when acknowledged data is to be sent again on another path is not its
// business either, but proto's.
package sched
