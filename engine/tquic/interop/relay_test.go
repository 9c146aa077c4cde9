package interop

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// relay is a box between one client and a server: a NAT that can rebind, and a link
// that can lose and stop. It stands at the server's end of the place.
type relay struct {
	r      *rig
	front  *net.UDPConn // where the client sends to
	server netip.AddrPort
	tasks  sync.WaitGroup
	gate   sync.Mutex // what goes to the client passes it; whoever has it holds that up

	mu     sync.Mutex
	back   *net.UDPConn // where the server sees the client
	client netip.AddrPort
	random *rand.Rand
	loss   float64 // of each direction
	deaf   bool    // nothing of the connection reaches the client
	known  [4]byte // how the client's connection ID begins
	lost   int
	up     int // bytes that went to the server
}

// newRelay returns a relay that passes everything on to server.
func newRelay(r *rig, server netip.AddrPort) *relay {
	y := &relay{r: r, front: r.socket(serverNode), server: server, random: rand.New(rand.NewPCG(5, 5))}
	y.rebind()
	y.tasks.Go(y.upwards)
	r.t.Cleanup(func() {
		y.front.Close()
		y.mu.Lock()
		y.back.Close()
		y.mu.Unlock()
		y.tasks.Wait()
	})
	return y
}

func (y *relay) addr() netip.AddrPort { return y.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// outside returns the client's address as the server sees it.
func (y *relay) outside() netip.AddrPort {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.back.LocalAddr().(*net.UDPAddr).AddrPort()
}

// rebind gives the client another address, and forgets the former one.
func (y *relay) rebind() {
	back := y.r.socket(serverNode)
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.back != nil {
		y.back.Close()
	}
	y.back = back
	y.tasks.Go(func() { y.downwards(back) })
}

// setLoss loses that share of the datagrams of each direction from now on.
func (y *relay) setLoss(share float64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.loss = share
}

// deafen stops what the server sends to the client on the connection. A stateless
// reset is not on the connection: it passes.
func (y *relay) deafen() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.deaf = true
}

// stops reports whether a datagram to the client is one that deafen is about. mu is
// held.
func (y *relay) stops(b []byte) bool {
	const longHeader = 0x80
	id := b[1 : 1+len(y.known)]
	if y.deaf {
		return b[0]&longHeader != 0 || bytes.Equal(id, y.known[:])
	}
	if b[0]&longHeader == 0 {
		copy(y.known[:], id)
	}
	return false
}

// hold holds up what goes to the client, until release.
func (y *relay) hold() (release func()) {
	y.gate.Lock()
	release = sync.OnceFunc(y.gate.Unlock)
	y.r.t.Cleanup(release)
	return release
}

// upBytes returns how many bytes of UDP payload went to the server.
func (y *relay) upBytes() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.up
}

// losses returns how many datagrams were lost.
func (y *relay) losses() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.lost
}

// loses decides about a datagram. mu is held.
func (y *relay) loses() bool {
	lost := y.random.Float64() < y.loss
	if lost {
		y.lost++
	}
	return lost
}

func (y *relay) upwards() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := y.front.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		y.mu.Lock()
		y.client = from
		y.up += n
		if !y.loses() {
			_, _ = y.back.WriteToUDPAddrPort(b[:n], y.server) // what the socket does not take is lost
		}
		y.mu.Unlock()
	}
}

func (y *relay) downwards(back *net.UDPConn) {
	b := make([]byte, 1<<16)
	for {
		n, _, err := back.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		y.gate.Lock()
		y.pass(b[:n])
		y.gate.Unlock()
	}
}

// pass sends a datagram on to the client.
func (y *relay) pass(b []byte) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.stops(b) && !y.loses() {
		_, _ = y.front.WriteToUDPAddrPort(b, y.client)
	}
}
