// Package control is what the processes of a lab, the relay and the conductor, have in
// common: how they come to life and say that they are ready, and the control socket on
// which they answer: JSON, one value a line, from any number of clients, each of which
// can hold little. What is asked and answered is theirs.
//
// Files: life.go has the process, server.go the clients, line.go the lines.
package control
