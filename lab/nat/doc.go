// Package nat makes a node's namespace a NAT: what comes in on its inside links
// leaves on its other links with the address of that link and a port of the NAT, and
// only answers find their way back.
//
// It speaks to nftables over netlink; no nft(8) is needed. IPv4 and IPv6 are
// translated alike (RFC 6296's stateless prefix translation is something else).
// The mapping is the kernel's: one external port per internal address, port and
// destination ("address and port-dependent", RFC 4787 section 4.1), drawn at random
// from the range in force. What comes from outside to no mapping is dropped without
// an answer, as home routers do; the NAT's own sockets get what is for them, and so
// does ICMP.
//
// Rebind makes a NAT forget: see there.
//
// Files: nat.go sets a NAT up, rebind.go changes its ports, rules.go has nftables'
// expressions.
//
// # Limits
//
// No hairpinning, no port forwarding. A range has room for portBlock flows to one
// destination. The kernel must have nftables with NAT for IPv4 and IPv6 in one
// table, and tell the incoming interface after routing: Linux 5.7. What is not there
// is an error that wraps ErrNotSupported.
package nat
