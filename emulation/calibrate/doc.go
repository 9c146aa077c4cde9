// Package calibrate asks one direction of a wire what it really does to packets, and
// holds the answer against what was asked of it.
//
// A probe sends UDP packets through the direction: pulses, so far apart that none
// waits for another; a stream at half of the rate; a train above it; and packets about
// the MTU. Both ends are on one machine and have one clock, so that each packet's delay
// is known.
//
// What ought to have come of them says the model itself: the same packets, at the times
// at which they were sent, go through emulation.Direction with a number of seeds. So
// whatever the model can do can be checked, also where no formula is at hand: traces,
// slots, CoDel, timelines. A figure passes within the spread of the model's own figures
// and a tolerance that Form states.
//
// The package enters no namespace and moves no interface: the lab opens its Ends inside
// a node and hands them over.
//
// Files: form.go says how long and how strict, plan.go which packets, end.go opens the
// sockets, probe.go sends and receives, oracle.go asks the model, figures.go computes
// what is compared, verdict.go compares.
//
// # Limitations
//
// The link must be idle: other packets take their share of the rate, and a loss model
// that counts packets counts them, too. A packet that the model corrupts counts as lost,
// since the receiver's UDP checksum throws it away. A direction of 600 Mbit/s or more
// is not filled, with a system call for each packet: its verdict has neither a rate nor a
// queue.
package calibrate
