// Package privilege is how a process of a lab gives up root: for good, on all of
// its threads, and proved.
//
// What needs root (namespaces, sockets on some ports) comes first; commands in
// nodes and agents then are the user who typed sudo.
//
// Files: user.go says who somebody is, become.go becomes them.
package privilege
