package tcp_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

func BenchmarkLoopback(b *testing.B) {
	b.Run("engine=tcp", func(b *testing.B) { enginetest.Benchmark(b, tcp.New(), enginetest.Options{}) })
	b.Run("engine=tcp-tls", func(b *testing.B) { enginetest.Benchmark(b, tcp.NewTLS(), enginetest.Options{}) })
}
