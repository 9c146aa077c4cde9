// Package walls holds the rules about the code base itself, as tests: which
// package may import which, what the pure core must not touch, and the habits that
// a compiler does not check.
//
// The rules are in docs/ARCHITECTURE.md. Each is a function of what `go list` and
// go/parser say about the packages, and has a test of its own that shows it a
// violation; TestWalls then applies all of them to this module. The package has no
// code outside its tests.
//
// TestMusts sees to it that each MUST which the engine's code cites is cited by a test,
// too, and keeps docs/MUSTS.md, the table of them.
//
// Files: walls_test.go applies the rules; imports_test.go and habits_test.go have
// them, with their own tests; source_test.go reads the module. musts_test.go compares
// code and tests, citations_test.go reads what comments cite.
package walls
