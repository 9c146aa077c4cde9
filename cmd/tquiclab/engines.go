package main

import (
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/iperf3"
	"github.com/tquiclab/tquiclab/engine/mptcp"
	"github.com/tquiclab/tquiclab/engine/quicgo"
	"github.com/tquiclab/tquiclab/engine/tcp"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// newRegistry returns the engines of this program, in the order of lists.
func newRegistry() engine.Registry {
	return engine.NewRegistry(
		tquic.NewEngine(),
		quicgo.NewBond(), quicgo.New(),
		mptcp.New(), mptcp.NewTLS(),
		tcp.New(), tcp.NewTLS(),
		iperf3.New(),
	)
}
