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
// the slow start of the latter. coupled.go couples the paths of a connection, lia.go,
// olia.go and balia.go say how. bbr.go is BBRv3 (draft-ietf-ccwg-bbr): bbr_model.go
// what it knows of the path, bbr_probebw.go and bbr_probertt.go how it probes,
// bbr_loss.go what it makes of losses and marks, bbr_control.go the window and the
// pacing rate; maxfilter.go is a filter of it.
//
// Invariants: a window is never below two datagrams, and grows only while the sender
// fills it; bbr's follows its model instead. One Controller serves one path, the
// controllers of a Group have one owner. Nothing allocates after New.
//
// bbr departs from the draft in two things, both about paths whose round trips vary: where
// it probes nothing its window leaves room for a queue of bbrQueue instead of a round trip's
// (target), and any window but Up's for half of what round trips vary by (jitter). So
// beside a flow that fills a deep queue it takes less than the draft's.
//
// Limitations of bbr: no loss is found to be spurious, so the draft's undo (section
// 5.5.11) is not here. For marks, which the draft leaves open, bytes count as many as
// a datagram each. At 1 % random loss the draft's own decay between probes (section
// 5.3.3.8.3) leaves 0.75 to 0.9 of a link. The window of a standby path counts in the
// coupled controllers' sums once its RTT is known.
//
// Limitations: an ACK that covers packets from before and after the start of a
// recovery period counts as from after it, with all its bytes: the interface carries
// sums. Lost packets that turn out to have arrived undo nothing. CUBIC runs with fast
// convergence always on.
package congest
