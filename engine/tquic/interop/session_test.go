package interop

import (
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
)

// countingCache says how many sessions it was given.
type countingCache struct {
	tls.ClientSessionCache
	puts atomic.Int32
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		c.puts.Add(1)
	}
}

// rememberSession makes a connection to a server and keeps its session.
func (r *rig) rememberSession() {
	r.t.Helper()
	cache := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	r.clientTLS.ClientSessionCache = cache
	// The server's successors must read its tickets.
	r.serverTLS.SetSessionTicketKeys([][32]byte{{1}})
	p := r.connect()
	p.stream()
	r.await("a session ticket", func() bool { return cache.puts.Load() > 0 })
	p.client.closeWith(0, "")
	p.server.over(r.ctx)
}

// TestResumption: the second handshake needs no certificate.
func TestResumption(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.rememberSession()
		p := r.connect()
		p.stream()
		for name, e := range map[string]end{"client": p.client, "server": p.server} {
			if !e.tls().DidResume {
				t.Errorf("the %s did not resume", name)
			}
		}
	})
}

// TestEarlyDataAccepted: a request leaves in the first flight and is answered.
func TestEarlyDataAccepted(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.rememberSession()
		p, client := r.connectEarly()
		for name, e := range map[string]end{"client": p.client, "server": p.server} {
			if !e.early() || !e.tls().DidResume {
				t.Errorf("the %s: 0-RTT %v, resumed %v, want both", name, e.early(), e.tls().DidResume)
			}
		}
		server, err := p.server.accept(r.ctx)
		r.must(err)
		if err := receive(server, 0, earlySize); err != nil {
			t.Error(err)
		}
		r.must(send(server, 1, earlySize))
		if err := receive(client, 1, earlySize); err != nil {
			t.Error(err)
		}
	})
}

// earlySize is a few packets.
const earlySize = 5000

// connectEarly sends earlySize bytes on a stream before anything of the server comes.
func (r *rig) connectEarly() (*pair, stream) {
	r.t.Helper()
	l := r.listen()
	y := newRelay(r, l.addr())
	release := y.hold()
	client, err := r.dialler().dialEarly(r, y.addr())
	r.must(err)
	s, err := client.open(r.ctx)
	r.must(err)
	r.must(send(s, 0, earlySize))
	r.await("0-RTT data leaves", func() bool { return y.upBytes() > 1200+earlySize })
	if client.tls().HandshakeComplete {
		r.t.Error("the handshake is complete without a word of the server")
	}
	release()
	server, err := l.accept(r.ctx)
	r.must(err)
	r.must(client.complete(r.ctx))
	return r.pair(client, server), s
}

// TestEarlyDataRejected: a server that allows less than it did when it gave the ticket
// refuses 0-RTT, and the request arrives nevertheless.
func TestEarlyDataRejected(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.rememberSession()
		r.tquic.MaxStreams, r.quicgo.MaxIncomingStreams = 7, 7
		p, s := r.connectEarly()
		for name, e := range map[string]end{"client": p.client, "server": p.server} {
			if e.early() || !e.tls().DidResume {
				t.Errorf("the %s: 0-RTT %v, resumed %v, want only the latter", name, e.early(), e.tls().DidResume)
			}
		}
		client, err := p.client.again(r.ctx)
		r.must(err)
		if r.client.name() == "quic-go" {
			if _, err := io.ReadAll(s); !errors.Is(err, quic.Err0RTTRejected) {
				t.Errorf("quic-go's stream: %v, want its notice of the rejection", err)
			}
			s, err = client.open(r.ctx)
			r.must(err)
			r.must(send(s, 0, earlySize))
		}
		server, err := p.server.accept(r.ctx)
		r.must(err)
		if err := receive(server, 0, earlySize); err != nil {
			t.Error(err)
		}
		r.must(send(server, 1, earlySize))
		if err := receive(s, 1, earlySize); err != nil {
			t.Error(err)
		}
	})
}
