// Package emulationtest is what tests of the backends hold against the model: what
// the model does to given arrivals, what theory says of its loss chains, and how
// likely two samples are to come from one source.
//
// It serves tests only, is pure as the model is, and knows no backend. A test plays
// the arrivals that a backend had through the model (Play) and compares losses
// (Bursts and SameCounts) and delays (SameDistribution), or compares what it counted
// with Chain and Interval.
//
// Files: play.go plays the model in virtual time; chain.go has the theory of losses;
// sample.go compares samples.
//
// # Limits
//
// SameCounts and SameDistribution are asymptotic, and take the values of a sample to
// be independent: chi-square pools cells until each holds ten or more; samples of
// some hundred values and more are meant.
package emulationtest
