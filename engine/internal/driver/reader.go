package driver

import (
	"errors"
	"net"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/udpio"
)

// readTrains is how many trains a reader takes at once: enough for a burst of
// acknowledgements, few enough that what it holds stays in the CPU's cache.
const readTrains = 16

// reader takes what comes in on a socket to the connections.
type reader struct {
	e      *Endpoint
	socket *udpio.Socket
	into   [readTrains]udpio.Received
	batch  []delivery // of the trains in into
	answer proto.Transmit
}

// delivery is a datagram and the connection that it is for.
type delivery struct {
	conn     *Conn
	reset    bool
	datagram proto.Datagram
}

func newReader(e *Endpoint, s *udpio.Socket) *reader {
	return &reader{e: e, socket: s, answer: proto.Transmit{Buf: make([]byte, 0, 2048), MaxSegments: 1}}
}

// maxFailures is how many errors in a row make a reader give its socket up; its
// connections then time out.
const maxFailures = 100

// run reads until the socket is closed.
func (r *reader) run() {
	for failures := 0; failures < maxFailures; {
		n, err := r.socket.Read(r.into[:], r.e.pool)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failures++
			continue
		}
		failures = 0
		r.handle(r.into[:n])
	}
}

func (r *reader) handle(trains []udpio.Received) {
	now := r.e.now()
	strangers := r.route(now, trains)
	for rest := r.batch; len(rest) > 0; {
		c, n := rest[0].conn, 1
		for n < len(rest) && rest[n].conn == c {
			n++
		}
		c.receive(now, rest[:n])
		rest = rest[n:]
	}
	for i := range trains {
		trains[i].Buffer.Release()
		trains[i] = udpio.Received{}
	}
	clear(r.batch)
	r.batch = r.batch[:0]
	if strangers {
		r.respond()
	}
}

// route fills the batch with the datagrams that belong to connections, and reports
// whether there were others: they may have answers.
func (r *reader) route(now clock.Time, trains []udpio.Received) (strangers bool) {
	e := r.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range trains {
		t := &trains[i]
		d := proto.Datagram{Local: t.Local, Remote: t.Remote, ECN: t.ECN, Buffer: t.Buffer}
		for data := t.Data; len(data) > 0; {
			n := min(t.Segment, len(data))
			d.Data = data[:n:n]
			data = data[n:]
			to := e.core.Handle(now, &d)
			switch {
			case to.Conn == nil:
				strangers = true
				continue
			case to.New && !e.closed:
				e.adopt(to.Conn)
			}
			if c := e.conn(to.Conn); c != nil {
				r.batch = append(r.batch, delivery{c, to.Reset, d})
			}
		}
	}
	return strangers
}

// respond sends the answers to datagrams of no connection.
func (r *reader) respond() {
	for {
		r.e.mu.Lock()
		ok := r.e.core.AppendResponse(&r.answer)
		r.e.mu.Unlock()
		if !ok {
			return
		}
		send(r.socket, &r.answer)
	}
}
