// Package breadth measures what bonding brings over many pairs of paths, in virtual
// time: the four classes of engine/sim/wsp, and every topology of the catalogue that
// joins its two hosts by several links. Each transfer over the bond stands beside
// transfers of the same engine over each of its paths alone, with the same luck.
//
// It is not for one topology at a time: that is `tquiclab run --backend sim`, which
// records more.
//
// Files: wsp.go runs the experiment, wsptable.go sums it up; catalog.go runs the
// topologies, published.go has what others have published of them, catalogtable.go
// sums up; pool.go spreads work over the machine's cores.
//
// # Invariants
//
// A simulation has one goroutine; several run side by side. What comes out does not
// depend on how many, nor on their order: one configuration gives one result.
package breadth
