package quicgo_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/quicgo"
)

func TestMain(m *testing.M) { enginetest.Main(m, quicgo.New(), quicgo.NewBond()) }

func TestBondOnTwoPaths(t *testing.T) { enginetest.TwoPaths(t, quicgo.NewBond()) }
