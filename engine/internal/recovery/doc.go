// Package recovery knows what a path has in flight: it measures the round-trip time,
// finds losses, arms the loss detection timer, checks ECN counts, samples the
// delivery rate and paces (RFC 9002; RFC 9000, section 13.4.2). A Detector does that
// for one path with its packet number spaces.
//
// It knows packets, not what is in them: Sent.First and Sent.Count are the caller's
// and come back with the packet's fate. How large the window is, package congest
// says.
//
// Files: detector.go has the Detector and what the owner tells it, sent.go a packet
// and a Result, ring.go the packets of a space, ack.go, loss.go and timer.go RFC
// 9002's three events, rtt.go the estimator, ecn.go the validation, rate.go the
// delivery rate, pacer.go the token bucket and the Budget.
//
// Invariants: a packet in flight is reported once, in Acked, Lost or Dropped; bytes in
// flight are the sum over packets in flight sent on the present path; the
// controller hears of nothing else. An ACK costs as much as its ranges and what they
// newly acknowledge or reveal as lost, whatever the peer claims. The memory of a space
// is a ring as long as its oldest to newest packet without fate, and stays.
//
// Limitations: the reordering thresholds are fixed, and a packet acknowledged after
// it was declared lost changes nothing. Losses before the peer has keys count like
// others (RFC 9002, section 7.4, lets them be ignored). Persistent congestion compares
// with the newest acknowledged packet of the other spaces only.
package recovery
