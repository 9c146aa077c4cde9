package tquic_test

import (
	"slices"
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

func TestEngine(t *testing.T) { enginetest.Run(t, tquic.NewEngine(), enginetest.Options{}) }

// Every name that the engine says it takes, it takes.
func TestCongestions(t *testing.T) {
	names := tquic.NewEngine().Capabilities().Congestions
	if !slices.Contains(names, "bbr") || !slices.Contains(names, tquic.NewEngine().Capabilities().Congestion) {
		t.Errorf("names are %v, want bbr and the default among them", names)
	}
	serverTLS, _ := settings()
	for _, name := range names {
		l, err := tquic.Listen("127.0.0.1:0", serverTLS, &tquic.Config{Congestion: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkLoopback(b *testing.B) {
	enginetest.Benchmark(b, tquic.NewEngine(), enginetest.Options{})
}
