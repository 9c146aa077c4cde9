// Package congest decides how much a path may have in flight. A Controller is told
// what was sent, acknowledged and lost on one path, and answers with a window and,
// if it has one, a pacing rate.
//
// It is not loss detection, the counting of bytes in flight or the pacer: those are
// package recovery's, which calls it. It knows bytes and time, not packets' contents,
// and keeps nothing per packet.
//
// Files: congest.go has the interface and what it carries, registry.go the names,
// window.go what all controllers share (initial and minimum window, whether the
// window was used), newreno.go RFC 9002's controller, cubic.go RFC 9438's, hystart.go
// the slow start of the latter.
//
// Invariants: a window is never below two datagrams, and grows only while the sender
// fills it. One Controller serves one path and has one owner. Nothing allocates after
// New.
//
// Limitations: an ACK that covers packets from before and after the start of a
// recovery period counts as from after it, with all its bytes: the interface carries
// sums. Lost packets that turn out to have arrived undo nothing. CUBIC runs with fast
// convergence always on.
package congest
