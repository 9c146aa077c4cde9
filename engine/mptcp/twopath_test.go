package mptcp_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/mptcp"
)

func TestMain(m *testing.M) { enginetest.Main(m, mptcp.New(), mptcp.NewTLS()) }

func TestMPTCPOnTwoPaths(t *testing.T) { enginetest.TwoPaths(t, mptcp.New()) }

func TestTLSOnTwoPaths(t *testing.T) { enginetest.TwoPaths(t, mptcp.NewTLS()) }
