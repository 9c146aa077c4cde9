// Package dial decides how a connection is dialled over several paths: over the first
// one, and over the next ones as long as none answers. It is the race's rules alone;
// whoever runs one makes the attempts, in real or in virtual time.
//
// Files: race.go has the Race.
//
// # Invariants
//
// Pure: it is told the time, and never asks for it. Each path is tried once, in
// order. There is one winner at most.
package dial
