// Package report prints results for people: one table a run, in plain text
// without colours, as wide as the terminal allows.
//
// It computes no statistics of its own beyond medians over the trials that
// passed; what a row says is in results.Summary. Data for programs is
// results.Summary's JSON, not this.
//
// Files: table.go puts a report together, rows.go makes an arm into cells, notes.go
// what stands below the table; grid.go lays cells out, width.go knows how wide text
// is, format.go writes numbers.
//
// # Invariants
//
// Nothing is cut off: a table too wide for the terminal is folded, and then
// written as one block an arm. Text from outside loses its control characters.
package report
