// Package enginetest is the conformance suite that every engine passes.
//
// Run holds an engine to its contract over loopback, in one process. TwoPaths puts
// dialler and listener into network namespaces of their own with two links between
// them, and wants data on both links, and an intact transfer although one link goes
// down in the middle. Benchmark measures goodput over loopback, BenchmarkTwoPaths
// over two shaped links.
//
// The namespaces have no names: each belongs to a child process of the test, which
// is the test's own binary, and is gone with it, however the test ends. A package
// that calls TwoPaths gives Main to its TestMain:
//
//	func TestMain(m *testing.M) { enginetest.Main(m, mptcp.New()) }
//
// Files: suite.go has Run and what its cases share, streams.go, closing.go,
// sessions.go and strangers.go the cases, twopath.go the namespaces, node.go the
// child process, leak.go the search for goroutines, tls.go a certificate, bench.go
// the benchmarks.
//
// # Limits
//
// TwoPaths needs root, ip and tc. Nothing here asserts on elapsed time; time limits
// only end what hangs.
package enginetest
