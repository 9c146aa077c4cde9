package sim

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// instants notes when what happens to a host.
type instants struct {
	lab                 *Lab
	connected, readable time.Duration // the first of each; 0: not yet
}

func (i *instants) Connected(*Conn) {
	if i.connected == 0 {
		i.connected = i.lab.Elapsed()
	}
}

func (i *instants) Readable(*Stream) {
	if i.readable == 0 {
		i.readable = i.lab.Elapsed()
	}
}

func (*instants) Writable(*Stream)    {}
func (*instants) Closed(*Conn, error) {}

// distant is a link that only delays: 35 ms up, 37 ms down.
func distant() Link {
	l := fast()
	l.Up = emulation.Impairments{Delay: 35 * time.Millisecond}
	l.Down = emulation.Impairments{Delay: 37 * time.Millisecond}
	return l
}

// A new connection costs one round trip before the client's first byte leaves, and
// half of one more until it is there. With a session the first byte is there after
// one way: it left in the first flight.
func TestFirstByteToTheMillisecond(t *testing.T) {
	const up, down = 35 * time.Millisecond, 37 * time.Millisecond
	client, server := &instants{}, &instants{}
	l := newLab(t, LabConfig{Links: []Link{distant()}, Seed: 1, EarlyData: true}, client, server)
	client.lab, server.lab = l, l

	say := func(c *Conn) {
		t.Helper()
		s, err := c.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
	}
	run := func(until func() bool) {
		t.Helper()
		if err := l.Run(t.Context(), time.Minute, until); err != nil {
			t.Fatal(err)
		}
	}
	first, err := l.Client.Dial("fast")
	if err != nil {
		t.Fatal(err)
	}
	run(func() bool { return client.connected > 0 })
	if client.connected != up+down {
		t.Errorf("the handshake took the client %v, want one round trip of %v", client.connected, up+down)
	}
	say(first)
	run(func() bool { return server.readable > 0 })
	if want := up + down + up; server.readable != want {
		t.Errorf("the first byte of a new connection was there after %v, want %v", server.readable, want)
	}

	if err := l.Run(t.Context(), time.Second, nil); err != nil { // the ticket comes
		t.Fatal(err)
	}
	*client, *server = instants{lab: l}, instants{lab: l}
	start := l.Elapsed()
	again, err := l.Client.Dial("fast")
	if err != nil {
		t.Fatal(err)
	}
	say(again)
	run(func() bool { return server.readable > 0 })
	if got := server.readable - start; got != up {
		t.Errorf("with a session the first byte was there after %v, want one way of %v", got, up)
	}
}
