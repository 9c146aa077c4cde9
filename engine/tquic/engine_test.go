package tquic_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

func TestEngine(t *testing.T) { enginetest.Run(t, tquic.NewEngine(), enginetest.Options{}) }

func BenchmarkLoopback(b *testing.B) {
	enginetest.Benchmark(b, tquic.NewEngine(), enginetest.Options{})
}
