package tquic_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

func TestMain(m *testing.M) { enginetest.Main(m, tquic.NewEngine()) }

func TestEngineOnTwoPaths(t *testing.T) { enginetest.TwoPaths(t, tquic.NewEngine()) }

// The whole contract, with a session over two addresses.
func TestEngineWithTwoAddresses(t *testing.T) {
	enginetest.Run(t, tquic.NewEngine(), enginetest.Options{Paths: 2})
}
