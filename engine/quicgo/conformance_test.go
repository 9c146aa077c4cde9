package quicgo_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/quicgo"
)

func TestSinglePath(t *testing.T) { enginetest.Run(t, quicgo.New(), enginetest.Options{}) }

func TestBondOnOnePath(t *testing.T) { enginetest.Run(t, quicgo.NewBond(), enginetest.Options{}) }

func TestBondOnThreePaths(t *testing.T) {
	enginetest.Run(t, quicgo.NewBond(), enginetest.Options{Paths: 3})
}
