// Command breadth measures what tquic's bonding brings over many pairs of paths, in
// virtual time: `breadth wsp` runs the four classes of engine/sim/wsp, `breadth
// catalog` the topologies that have several paths, and `breadth failover` what a stream
// notices of links that go black or down, which it also reads from the records of
// `tquiclab run failover`. `make wsp`, `make bond`, `make failover` and `make failover-lab`
// are its usual calls; it is for those who build the engine, and no part of tquiclab's
// command line.
//
// Files: main.go has the verbs.
package main
