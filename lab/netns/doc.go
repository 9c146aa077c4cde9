// Package netns makes, marks, enters and removes named network namespaces.
//
// A namespace that Create returns bears its owner's mark from the first moment
// that its name can be seen: it is made without a name, its loopback interface
// gets the mark as its alias, and only then is it bound under Dir. Remove takes
// the name away; the kernel frees the namespace when nothing uses it any more.
//
// # Threads
//
// A network namespace belongs to a thread, and a goroutine that changes it must
// own its thread. Do runs its function on a fresh goroutine locked to a thread
// and gives the thread back only when it stands in its old namespace again;
// otherwise the goroutine ends locked, and the runtime ends the thread. Nothing
// that lives long runs inside Do: open sockets, netlink handles and child
// processes there and use them outside.
//
// # Not here
//
// What is inside a namespace (links, addresses, sysctls) is package link's.
package netns
