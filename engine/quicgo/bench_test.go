package quicgo_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/quicgo"
)

func BenchmarkLoopback(b *testing.B) {
	b.Run("engine=quic-go", func(b *testing.B) { enginetest.Benchmark(b, quicgo.New(), enginetest.Options{}) })
	b.Run("engine=quic-go-bond/paths=1", func(b *testing.B) {
		enginetest.Benchmark(b, quicgo.NewBond(), enginetest.Options{Paths: 1})
	})
	b.Run("engine=quic-go-bond/paths=2", func(b *testing.B) {
		enginetest.Benchmark(b, quicgo.NewBond(), enginetest.Options{Paths: 2})
	})
}

func BenchmarkTwoPaths(b *testing.B) {
	b.Run("engine=quic-go-bond", func(b *testing.B) { enginetest.BenchmarkTwoPaths(b, quicgo.NewBond()) })
}
