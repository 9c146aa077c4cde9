// Package clock is the time that the protocol core works with: an instant as a
// number, handed in by whoever owns the connection. It reads no clock itself; the
// driver's comes from the monotonic clock, simnet's from its event queue.
package clock
