// Package wsp is the experiment that multipath transports are measured with since
// Paasch and others (CSWS 2014) and De Coninck and Bonaventure (Multipath QUIC: Design
// and Evaluation, CoNEXT 2017): many pairs of paths whose parameters fill their ranges
// evenly, in four classes, and one transfer over each pair.
//
// It makes the pairs and turns them into simulated links. Who runs them and what comes
// of it is lab/breadth's.
//
// Files: design.go spreads points over a unit cube, class.go has the four classes and
// makes pairs of paths from points.
//
// # Invariants
//
// Pure: one seed gives one list of scenarios, on every machine of one architecture.
//
// # Limitations
//
// Parameters are spread linearly over their ranges, as in the papers: slow paths (below
// 1 Mbit/s) are few. The papers' own points are not published with them, so scenarios
// compare as a class, not one by one.
package wsp
