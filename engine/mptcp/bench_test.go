package mptcp_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/mptcp"
)

func BenchmarkLoopback(b *testing.B) {
	b.Run("engine=mptcp", func(b *testing.B) { enginetest.Benchmark(b, mptcp.New(), enginetest.Options{}) })
	b.Run("engine=mptcp-tls", func(b *testing.B) { enginetest.Benchmark(b, mptcp.NewTLS(), enginetest.Options{}) })
}

func BenchmarkTwoPaths(b *testing.B) {
	b.Run("engine=mptcp", func(b *testing.B) { enginetest.BenchmarkTwoPaths(b, mptcp.New()) })
}
