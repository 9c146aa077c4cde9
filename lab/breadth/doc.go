// Package breadth measures what bonding brings over many pairs of paths, in virtual
// time: the four classes of engine/sim/wsp, and every topology of the catalogue that
// joins its two hosts by several links. Each transfer over the bond stands beside
// transfers of the same engine over each of its paths alone, with the same luck. And what
// a stream notices when a link goes black or down, in virtual time or in the records of a
// run in a lab.
//
// It is not for one topology at a time: that is `tquiclab run --backend sim`, which
// records more.
//
// Files: wsp.go runs the experiment, wsptable.go sums it up; catalog.go runs the
// topologies, published.go has what others have published of them, catalogtable.go
// sums up; failover.go runs the topology failover and reads runs, outage.go has what
// happens in them and what is asked for then, failoverrun.go takes the figures from
// one run, failovertable.go sums up; virtual.go runs a topology in virtual time, pool.go
// spreads work over the machine's cores.
//
// # Invariants
//
// A simulation has one goroutine; several run side by side. What comes out does not
// depend on how many, nor on their order: one configuration gives one result.
//
// # Limits
//
// When a link carries data again is known to 100 ms, the time between two samples of a
// series, and told as the later end.
package breadth
