// Package results keeps what a run measured: the records that other tools read,
// the folder they lie in, the facts about the machine, and the statistics over
// rounds.
//
// It is not a plotter and not a judge: the table is in results/report. It knows
// nothing of topologies, engines or namespaces; what it stores of them is handed
// to it as strings or JSON.
//
// A run is a folder:
//
//	manifest.json    what was run, on what, in which order (Manifest)
//	trials.jsonl     one Trial a line, on the disk before AppendTrial returns
//	series/*.jsonl   time series, buffered, on the disk when their Series is closed
//	qlog/, capture/  traces of the engines and packets, where asked for: others write them
//	summary.json     the whole result (Summary); its presence means that the run ended in order
//
// Files: record.go has the records of summary.json, encode.go how they become
// JSON, run.go the writing of a folder, series.go its time series, disk.go what
// can go wrong with a disk, open.go the reading. manifest.go is what a run notes
// about itself, build.go and machine.go collect the parts that the process can
// see, procfs.go parses the kernel's files. estimate.go, benefit.go and arms.go
// are the statistics.
//
// # Invariants
//
// A file appears under its name whole or not at all, except trials.jsonl and the
// series, which grow by whole lines. After a failed write the file is cut back to
// its last whole line. A number that is not finite is refused, never written. A
// list is written as [], never as null: null means "not measured".
//
// # Limitations
//
// A folder has one writer. Folders made under sudo belong to root.
package results
