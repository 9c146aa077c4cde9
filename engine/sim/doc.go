// Package sim is a whole lab in virtual time: links as a topology asks for, tquic on
// both ends, in one process, without root and without waiting. A transfer of a
// minute takes as long as its packets take to compute.
//
// Run is the facade that `tquiclab run --backend sim` uses: one workload over one link
// or the bond of several, straight to the server or through routers, with the same
// protocol, checks and definitions as engine/workload's Request and Serve. Lab is for
// tests and researchers: the network and both hosts, driven event by event.
//
// It simulates the protocol, not a machine: what runs is the engine's core
// (engine/internal/proto) over engine/internal/simnet, without the driver, sockets
// and kernel that carry it in earnest.
//
// Files: config.go says what to run, run.go runs it, party.go says what a host does for
// a workload: bulk.go drives streams, whose flows and clock are in traffic.go,
// dialler.go and answerer.go set up sessions; report.go and sample.go are what comes
// out; lab.go is the network and its two hosts, trunk.go what lies behind routers,
// host.go a host, conn.go and stream.go what its Application holds, stats.go a
// connection's statistics, race.go the dialling over several links, route.go the paths
// that a client keeps over them, outage.go takes links down, identity.go the seeded
// certificate and keys, qlog.go the hosts' traces.
//
// # Invariants
//
// One goroutine owns a Lab and all that belongs to it; callbacks run in Run. One
// Config gives one Report, times, losses and counts, on every machine of one
// architecture: congestion control and pacing compute with floats, whose last bit is
// the compiler's. Only the bits of key shares, signatures and tickets differ between
// two runs, since crypto/tls takes them from the system;
// testing/cryptotest.SetGlobalRandom makes them equal too.
//
// A client dials over its links as the engine in a lab does, by the rules that both have
// from engine/internal/dial. It opens a path over each link that it dialled with, and
// opens it again when it was closed and the link is up: at once when the carrier comes
// back, else after 1 s, then twice as long each time up to 30 s. It abandons the path of
// a link that loses its carrier at once, as long as there is another; so does the
// server, of the links and trunks that end there.
//
// # Limitations
//
// Hosts compute in no time: CPU time, memory and allocations do not exist here and
// stay zero. So a link without rate and delay cannot be simulated; it is as fast as
// its hosts. Socket buffers never overflow, and a train of datagrams reaches its
// link at one instant. There is no NAT, and a router is nothing but the models of its
// links, one behind the other. An engine is simulated that has its protocol core apart from
// its I/O: tquic alone (Engines).
package sim
