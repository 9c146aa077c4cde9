// Package link makes and reads what is inside the lab's namespaces: veth pairs
// with their addresses, neighbours, MTUs and offloads; routes and rules; sysctls;
// MPTCP's limits and endpoints.
//
// A pair is made straight into its two namespaces, so that nothing of a lab ever
// stands in the host's own, and dies with them. What was set is read back: a
// kernel that quietly kept another value is an error, not a surprise in a result.
//
// Files: veth.go makes pairs, route.go adds routes and rules (batch.go many of them at
// a time), offload.go turns segmentation offloads off and
// reads them, sysctl.go sets and reads sysctls, mptcp.go talks to the kernel's
// path manager.
package link
