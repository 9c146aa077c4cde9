// Package interop has tests and nothing else: tquic against quic-go, each as the
// client of the other, over sockets on the loopback interface and between the two
// namespaces of a lab. docs/INTEROP.md has the cases and what came of them;
// lab/interop_test.go has those over a link that loses packets.
//
// A test describes one case and runs it both ways round:
//
//	bothWays(t, func(t *testing.T, r *rig) {
//		p := r.connect()
//		...
//	})
//
// It says what it wants in the words of stack and end, which both implementations
// have, and looks at p.tquic or p.quicgo for what only one of them tells.
//
// Files: rig_test.go has the rig; stack_test.go what both implementations are to it,
// tquic_test.go and quicgo_test.go each of them; relay_test.go the box between them
// that loses, stops and moves packets; events_test.go what quic-go's qlog says. The
// other files are cases, named after what they are about.
//
// # Invariants
//
// A case concludes from what an implementation says, never from elapsed time. What a
// case waits for is bounded by the rig's context.
package interop
