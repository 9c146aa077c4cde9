package mptcp_test

import (
	"net/netip"
	"testing"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/mptcp"
)

func TestMPTCP(t *testing.T) { enginetest.Run(t, mptcp.New(), enginetest.Options{}) }

// Two paths may begin apart and end on one address: one listener serves both.
func TestPathsEndTogether(t *testing.T) {
	address := netip.MustParseAddrPort("127.0.0.1:0")
	l, err := mptcp.New().Listen(t.Context(), engine.Config{Paths: []engine.Path{
		{Link: "a", Local: address}, {Link: "b", Local: address}, {Link: "c", Local: netip.MustParseAddrPort("127.0.0.2:0")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := l.Paths()
	if len(p) != 3 || p[0].Local != p[1].Local || p[2].Local.Addr() == p[0].Local.Addr() || p[2].Local.Port() != p[0].Local.Port() || p[1].Link != "b" {
		t.Errorf("paths %v, want a and b on one socket and c on the same port", p)
	}
}

func TestTLS(t *testing.T) { enginetest.Run(t, mptcp.NewTLS(), enginetest.Options{}) }
