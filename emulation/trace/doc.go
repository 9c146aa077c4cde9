// Package trace reads capacity traces and schedules for the impairment model, and
// makes traces of its own from a seed, so that none of other people's need be
// shipped.
//
// It is not the model: emulation.Trace and emulation.Schedule say what a trace
// does to packets. It opens no files: readers take an io.Reader and a name for
// their errors.
//
// Files: mahimahi.go reads and writes Mahimahi's format, csv.go reads steps of
// rate, delay and loss, table.go distributions of jitter, error.go is what both say about bad input; generate.go
// turns a rate that varies into delivery opportunities, and lte.go, nr.go,
// starlink.go and wifi.go are the rates.
//
// # Invariants
//
// What a reader returns without an error passes the Validate of its type. Input is
// bounded: in the number of lines, in the length of each, and in the number of
// errors reported.
//
// # Limitations
//
// A generator has the figures of published measurements (mean, spread, outages,
// periods), not their fine structure: it stands for a kind of access, not for a
// place. The same seed gives the same trace on machines whose floating point rounds
// alike; where a compiler fuses operations (not on amd64) an opportunity may move
// by a millisecond.
package trace
