package interop

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestMigration: the client moves to another socket on purpose (RFC 9000, section 9).
func TestMigration(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		client, server := p.stream()
		before := p.server.remote()
		at := p.migrate()
		p.bounce(client, server, 7)
		r.await("the server sends to the new address", func() bool { return p.server.remote() == at })
		if at == before {
			t.Errorf("the client is where it was, at %v", at)
		}
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
	})
}

// migrate moves the client and returns its new address.
func (p *pair) migrate() netip.AddrPort {
	r := p.r
	r.t.Helper()
	if r.client.name() == "tquic" {
		// It needs a spare connection ID, which the server gives in its own time.
		to := netip.AddrPortFrom(r.place.at[clientNode], 0)
		r.await("tquic migrates", func() bool {
			return r.place.do(clientNode, func() error { return p.tquic.Migrate(to) }) == nil
		})
		return p.tquic.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	socket := r.socket(clientNode)
	path, err := p.quicgo.AddPath(quicgoStack{}.transport(r, socket))
	r.must(err)
	r.must(path.Probe(r.ctx))
	r.must(path.Switch())
	return socket.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestProbing: a probe alone moves nothing (RFC 9000, section 9.1). tquic's clients do
// not probe.
func TestProbing(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		t.Run("quic-go to tquic"+at.suffix, func(t *testing.T) { probing(t, newRig(t, at, quicgoStack{}, tquicStack{})) })
	})
}

func probing(t *testing.T, r *rig) {
	p := r.connect()
	client, server := p.stream()
	before := p.server.remote()
	path, err := p.quicgo.AddPath(quicgoStack{}.transport(r, r.socket(clientNode)))
	r.must(err)
	r.must(path.Probe(r.ctx))
	p.bounce(client, server, 8)
	if got := p.server.remote(); got != before {
		t.Errorf("after a probe the server sends to %v, want %v", got, before)
	}
	r.must(path.Close())
	if err := exchange(client, server, 100_000); err != nil {
		t.Error(err)
	}
}

// TestRebinding: a NAT on the way gives the client another port, of which the client
// knows nothing.
func TestRebinding(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		y := newRelay(r, l.addr())
		p := r.connectTo(l, y.addr())
		client, server := p.stream()
		for range 2 {
			y.rebind()
			p.bounce(client, server, 9)
			r.await("the server sends to the new address", func() bool { return p.server.remote() == y.outside() })
		}
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
	})
}

// TestRebindingUnderLoad is TestRebinding in the midst of a transfer each way.
func TestRebindingUnderLoad(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		y := newRelay(r, l.addr())
		p := r.connectTo(l, y.addr())
		client, server := p.stream()
		done := make(chan error, 1)
		go func() { done <- exchange(client, server, 4_000_000) }()
		r.await("data flows", func() bool { return p.quicgo.ConnectionStats().BytesReceived > 100_000 })
		y.rebind()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.stream()
		r.await("the server sends to the new address", func() bool { return p.server.remote() == y.outside() })
	})
}

// TestStatelessReset: a server that has forgotten the connection says so to a client
// that has not heard of its end (RFC 9000, section 10.3).
func TestStatelessReset(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		y := newRelay(r, l.addr())
		p := r.connectTo(l, y.addr())
		client, _ := p.stream()
		// Whatever the server says on the connection, its end above all, is lost.
		y.deafen()
		p.server.closeWith(0, "")
		go writeOn(patient{r, client})
		if got := p.client.over(r.ctx); got.Kind != byStatelessReset {
			t.Errorf("the client's end: %+v, want a stateless reset", got)
		}
	})
}

// patient writes with pauses: an application that has something to say now and then.
type patient struct {
	r *rig
	w io.Writer
}

func (p patient) Write(b []byte) (int, error) {
	select {
	case <-p.r.ctx.Done():
		return 0, p.r.ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return p.w.Write(b)
	}
}
