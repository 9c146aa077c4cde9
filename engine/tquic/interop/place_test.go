package interop

import (
	"context"
	"crypto/rand"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/topologies"
)

// node is one of a place's two ends.
type node string

const (
	clientNode node = "client"
	serverNode node = "server"
)

// place is where a case takes place: its two ends' addresses, and how a socket comes
// to be at one of them.
type place struct {
	suffix string // of its subtests' names
	at     map[node]netip.Addr
	do     func(n node, f func() error) error // runs f, which opens sockets, at n
}

// loopback has both ends in this process's own network.
func loopback() place {
	here := netip.MustParseAddr("127.0.0.1")
	return place{
		at: map[node]netip.Addr{clientNode: here, serverNode: here},
		do: func(_ node, f func() error) error { return f() },
	}
}

// inLab raises a lab of two namespaces with a link between them, down when the test
// is over. It needs root.
func inLab(t *testing.T) place {
	t.Helper()
	prefix := func(end string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("10.77.9." + end + "/24")}
	}
	top := topologies.Topology{
		Name: "interop", Seed: 1, Nodes: []topologies.Node{{Name: string(clientNode)}, {Name: string(serverNode)}},
		Links: []topologies.Link{{
			Name: "link", Endpoints: [2]string{string(clientNode), string(serverNode)}, MTU: 1500,
			Addresses: [2][]netip.Prefix{prefix("1"), prefix("2")},
		}},
	}
	h := lab.Host{Dir: filepath.Join(t.TempDir(), "run"), Environment: os.Environ()}
	t.Cleanup(func() {
		if _, err := h.DownAll(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	up, err := h.Up(t.Context(), lab.UpConfig{Topology: top, Name: "iop" + strings.ToLower(rand.Text()[:6])})
	if err != nil {
		t.Fatal(err)
	}
	return place{
		suffix: " in a lab",
		at: map[node]netip.Addr{
			clientNode: top.Links[0].Addresses[0][0].Addr(), serverNode: top.Links[0].Addresses[1][0].Addr(),
		},
		do: func(n node, f func() error) error { return up.Lab.Do(string(n), f) },
	}
}

// everywhere runs a case on the loopback interface and in a lab.
func everywhere(t *testing.T, run func(t *testing.T, p place)) {
	run(t, loopback())
	if os.Geteuid() == 0 {
		run(t, inLab(t))
		return
	}
	t.Run("in a lab", func(t *testing.T) { t.Skip("needs root, as make test has it") })
}
