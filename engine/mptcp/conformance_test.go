package mptcp_test

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/mptcp"
)

func TestMPTCP(t *testing.T) { enginetest.Run(t, mptcp.New(), enginetest.Options{}) }

func TestTLS(t *testing.T) { enginetest.Run(t, mptcp.NewTLS(), enginetest.Options{}) }
