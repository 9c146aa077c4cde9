// Package journal is the record of what changed in a running lab: one line of JSON
// for each change that took effect, in a file that only grows.
//
// It changes nothing itself. Whoever changes a lab appends (the conductor what the
// timeline asks for, the commands what is done by hand), each entry with one write,
// so that entries of several writers never mix.
//
// # Files
//
// entry.go is what a line says, file.go how lines come into the file and out again.
//
// # Limitations
//
// What a relay's timeline does to packets is not in the file: the relay plays it
// exactly, so it follows from the timeline and the instant at which the clock
// started. The file ends at MaxBytes, with an entry that says so.
package journal
