package qlog

// ReadRecords is readRecords for tests that cannot be in the package: what they run
// imports it.
var ReadRecords = readRecords
