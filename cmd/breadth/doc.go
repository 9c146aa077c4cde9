// Command breadth measures what tquic's bonding brings over many pairs of paths, in
// virtual time: `breadth wsp` runs the four classes of engine/sim/wsp, `breadth
// catalog` the topologies that have several paths. `make wsp` and `make bond` are its
// usual calls; it is for those who build the engine, and no part of tquiclab's command
// line.
//
// Files: main.go has both verbs.
package main
