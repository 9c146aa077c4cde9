// Package runner measures: it runs every arm in every round, interleaved and in
// shuffled order, and records what each trial came to.
//
// An arm is an engine with the paths, the scheduler and the congestion control that it
// uses. A trial is one arm in one
// round. Where trials take place is the run's venue: in a lab, where two fresh
// agents, one dialling and one listening, move checked data while the interfaces'
// counters are sampled; or in virtual time, where engine/sim plays all of that. A
// trial that fails keeps its place with the reason; the others go on.
//
// The package raises no lab and takes none down, and draws no table: what it
// measured is in the run folder and in the Summary that Run returns.
//
// Files: config.go says what to run, arms.go plans it with
// what choice.go lets engines choose, run.go goes through the
// plan, venue.go is what it asks of a venue. field.go is the lab, trial.go goes
// through one trial there, gauge.go says which counters tell what a path carries,
// pathline.go what the engine says of its paths, changes.go starts the lab's clock for it and follows what happens, watch.go says
// whether the lab still stands; simulation.go
// is virtual time. bounds.go says how long a trial may take; record.go turns what was
// measured into a result, wires.go and warnings.go say what to think of it; qlog.go
// has the place of the engines' own traces, capture.go of the packets'; progress.go is what a watcher sees,
// line.go a terminal's line of it.
//
// # Invariants
//
// No agent outlives Run. A trial that ended is on the disk before the next one
// begins. A trial that the user cut short is not recorded: it says nothing about
// its arm. A value that was not measured is null.
//
// # Limitations
//
// Shares and packets come from interface counters, which also count what the
// kernel says to neighbours and what other programs send, and units before
// segmentation where offloads are on (links without a wire, and the relay's from
// 1 Gbit/s on). The relay's lateness is counted since the lab came
// up, so it may stem from before the run. A simulation has no processes: what they
// would have used is zero or null in its results.
package runner
