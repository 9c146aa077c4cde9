// Package boot is what the outside of a User-Mode Linux machine (package uml)
// and its first process (umlinit) say to each other: an Order on the way in, as
// a JSON file named by init's argument, and an Outcome on the way out, as one
// line of JSON on a serial line.
package boot
