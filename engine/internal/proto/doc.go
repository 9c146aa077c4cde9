// Package proto is the sans-IO core of QUIC version 1: one Conn is one side of one
// connection, an Endpoint finds the Conn that a datagram is for.
//
// It does no I/O, takes no lock, starts no goroutine and reads no clock. Its owner
// hands in datagrams and the time and polls for what is to be done; see
// docs/TQUIC.md for the pattern. One owner at a time; with one source of randomness
// and one sequence of calls a connection does the same thing bit for bit.
package proto
