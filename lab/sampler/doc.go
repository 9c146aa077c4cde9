// Package sampler reads the interfaces' own counters while a trial runs: bytes,
// packets and drops in both directions, as totals for shares and as a time
// series.
//
// The counters come over netlink (IFLA_STATS64) from a socket that was opened
// inside each node's namespace and is used outside it. They say what the
// interfaces saw, whatever the engine believes.
//
// It is not a judge of trials: what the numbers mean is lab/runner's business.
// Nor does it look at wires; their drops come from the backend.
//
// Files: counters.go has the numbers, reader.go the sockets, sampler.go the
// goroutine that reads them in a rhythm.
//
// # Limitations
//
// Bytes are those of frames: 14 of Ethernet header over the IP packet, and what
// the kernel itself says to neighbours (ARP, neighbour discovery) counts too.
// Where segmentation offload is on, as on links without a wire and on those of the
// relay from 1 Gbit/s on, a packet is what the interface was handed, up to 64 KB, and
// has one header.
package sampler
