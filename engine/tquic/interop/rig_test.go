package interop

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// patience bounds a case. Nothing is concluded from it but that a case hangs.
const patience = 60 * time.Second

// rig is what a case needs for connections between the two stacks.
type rig struct {
	t              *testing.T
	ctx            context.Context
	place          place
	client, server stack

	// Settings of whichever side is tquic's and quic-go's.
	tquic  tquic.Config
	quicgo quic.Config
	retry  bool // of quic-go's server; tquic's is in its config

	serverTLS, clientTLS *tls.Config
	events               *events // of quic-go; nil: none are wanted
}

// bothWays runs a case with each stack as the client of the other, everywhere.
func bothWays(t *testing.T, run func(t *testing.T, r *rig)) {
	everywhere(t, func(t *testing.T, p place) {
		for _, d := range [][2]stack{{tquicStack{}, quicgoStack{}}, {quicgoStack{}, tquicStack{}}} {
			t.Run(d[0].name()+" to "+d[1].name()+p.suffix, func(t *testing.T) { run(t, newRig(t, p, d[0], d[1])) })
		}
	})
}

func newRig(t *testing.T, p place, client, server stack) *rig {
	t.Helper()
	serverTLS, clientTLS, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	serverTLS.NextProtos, clientTLS.NextProtos = []string{"interop"}, []string{"other", "interop"}
	clientTLS.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &rig{
		t: t, ctx: ctx, place: p, client: client, server: server, serverTLS: serverTLS, clientTLS: clientTLS, events: &events{},
		tquic: tquic.Config{MaxDatagram: 65535, EarlyData: true}, quicgo: quic.Config{EnableDatagrams: true, Allow0RTT: true},
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// socket returns a new one at an end of the place.
func (r *rig) socket(n node) (c *net.UDPConn) {
	r.t.Helper()
	r.must(r.place.do(n, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.place.at[n], 0)))
		return err
	}))
	return c
}

func (r *rig) listen() listener {
	r.t.Helper()
	l, err := r.server.listen(r, r.socket(serverNode))
	r.must(err)
	return l
}

func (r *rig) dialler() dialler {
	r.t.Helper()
	d, err := r.client.dialler(r, r.socket(clientNode))
	r.must(err)
	return d
}

// pair is both ends of a connection.
type pair struct {
	r              *rig
	client, server end
	tquic          *tquic.Conn
	quicgo         *quic.Conn
}

// connect returns both ends of a new connection.
func (r *rig) connect() *pair {
	r.t.Helper()
	l := r.listen()
	return r.connectTo(l, l.addr())
}

// connectTo connects to a listener that is reached at an address.
func (r *rig) connectTo(l listener, at netip.AddrPort) *pair {
	r.t.Helper()
	return r.connectFrom(r.dialler(), l, at)
}

func (r *rig) connectFrom(d dialler, l listener, at netip.AddrPort) *pair {
	r.t.Helper()
	client, err := d.dial(r, at)
	if err != nil {
		r.t.Fatalf("dial: %v", err)
	}
	server, err := l.accept(r.ctx)
	if err != nil {
		r.t.Fatalf("accept: %v", err)
	}
	return r.pair(client, server)
}

func (r *rig) pair(client, server end) *pair {
	p := &pair{r: r, client: client, server: server}
	stop := context.AfterFunc(r.ctx, func() { // ends reads and writes that wait for ever
		client.closeWith(0, "out of time")
		server.closeWith(0, "out of time")
	})
	r.t.Cleanup(func() { stop() })
	for _, e := range []end{client, server} {
		switch e := e.(type) {
		case tquicEnd:
			p.tquic = e.Conn
		case quicgoEnd:
			p.quicgo = e.Conn
		}
	}
	return p
}

// stream returns both ends of a new stream, which has carried a byte each way.
func (p *pair) stream() (client, server stream) {
	p.r.t.Helper()
	client, err := p.client.open(p.r.ctx)
	p.r.must(err)
	_, err = client.Write([]byte{1})
	p.r.must(err)
	server, err = p.server.accept(p.r.ctx)
	p.r.must(err)
	p.expect(server, 1)
	_, err = server.Write([]byte{2})
	p.r.must(err)
	p.expect(client, 2)
	return client, server
}

func (p *pair) expect(s io.Reader, want byte) {
	p.r.t.Helper()
	var b [1]byte
	if _, err := io.ReadFull(s, b[:]); err != nil || b[0] != want {
		p.r.t.Fatalf("got byte %d, %v, want %d", b[0], err, want)
	}
}

// bounce sends one byte there and back.
func (p *pair) bounce(client, server stream, value byte) {
	p.r.t.Helper()
	_, err := client.Write([]byte{value})
	p.r.must(err)
	p.expect(server, value)
	_, err = server.Write([]byte{^value})
	p.r.must(err)
	p.expect(client, ^value)
}

// await asks ready until it says yes. Nothing tells when an implementation's counters
// change, so they are looked at again and again.
func (r *rig) await(what string, ready func() bool) {
	r.t.Helper()
	for !ready() {
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}
