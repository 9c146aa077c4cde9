// Package capture writes what passes chosen points of a lab into one pcapng file,
// with the TLS secrets that decrypt it.
//
// A Point is an interface inside a node, or one direction of it: what a node gives
// to a link and what it gets from it stand before and after the link's wire. Start
// opens a packet socket for each point inside its node's namespace, and returns;
// one goroutine writes from then on until Stop, or until a limit of the Config is
// met. Wait returns what it came to.
//
// The package raises no lab and chooses no names: who calls it says how to get
// into a node (Config.Do). It filters nothing but directions; Wireshark does.
//
// Files: point.go turns words into points, socket.go and ring.go receive, file.go
// writes, secrets.go reads TLS key logs, capture.go is the goroutine.
//
// # Invariants
//
// The file is a readable pcapng at any moment, and ends with a whole block even
// when the process is killed, unless that was in the middle of a write. Packets are
// in the order of their time stamps, over all points. What the kernel could not
// keep is counted, never hidden: Summary and the file's Interface Statistics Blocks
// have it.
//
// Secrets must come before the packets that they decrypt (draft-ietf-opsawg-pcapng,
// section 4.7), and are known only afterwards. So the file grows without them, and
// is written a second time, with them in front, when the capture ends. A capture
// that was killed has none.
//
// # Limitations
//
// While a capture runs, its sockets keep the nodes' namespaces alive. Where
// segmentation offload is on, as on links without a wire, a packet is what the
// interface was handed, up to 64 KB, with a checksum that is not filled in. VLAN
// tags are left out. A machine so busy that the kernel hands packets over late, by
// more than some 20 ms, gets them into the file late, too.
package capture
