package sim

import (
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Conn is a host's side of a connection.
type Conn struct {
	// Value is the application's. What a dialling comes to has that of the Conn that Dial
	// returned.
	Value any

	host      *Host
	proto     *proto.Conn
	link      string   // that it was made over
	routes    []*route // that a client keeps a path over, in Dial's order; none for one link
	race      *race    // that it is an attempt of, until that is won or lost
	beaten    bool     // another one won: the application knows nothing of it
	streams   map[*proto.Stream]*Stream
	connected bool
	confirmed bool
	dirty     bool
	timeout   clock.Time
}

// OpenStream opens a stream in both directions. The error says that the peer allows
// no more at the moment, or that the connection is over.
func (c *Conn) OpenStream() (*Stream, error) {
	s, err := c.proto.OpenStream(wire.Bidi)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return c.stream(s), nil
}

// Close ends the connection with an application's error code and reason. Data that
// is not acknowledged is lost.
// Of a connection that is still being dialled it ends the dialling, over all links.
func (c *Conn) Close(code uint64, reason string) {
	if c.race != nil {
		c.race.stop(code, reason)
		return
	}
	c.close(code, reason)
}

func (c *Conn) close(code uint64, reason string) {
	c.proto.Close(c.host.now(), code, reason)
	c.host.touch(c)
}

// Metrics is the state of a path and its congestion control.
type Metrics struct {
	Link             string
	SRTT, MinRTT     time.Duration
	CongestionWindow int64 // bytes
	BytesInFlight    int64
	SlowStart        bool
	MTU              int // UDP payload, bytes
}

// Metrics returns the state of the first path at the moment; all zero when there is none.
func (c *Conn) Metrics() Metrics {
	all := c.PathMetrics()
	if len(all) == 0 {
		return Metrics{}
	}
	return all[0]
}

// PathMetrics returns the state of each path at the moment, in the order of their IDs.
func (c *Conn) PathMetrics() []Metrics {
	var all []Metrics
	for _, p := range c.proto.Stats().Paths {
		all = append(all, c.metricsOf(p))
	}
	return all
}

func (c *Conn) metricsOf(p proto.PathStats) Metrics {
	return Metrics{
		Link: c.linkOf(p),
		SRTT: p.SRTT, MinRTT: p.MinRTT, CongestionWindow: int64(p.CongestionWindow), BytesInFlight: int64(p.BytesInFlight),
		SlowStart: p.SSThresh == 0 || p.CongestionWindow < p.SSThresh, MTU: int(p.MTU),
	}
}

// Link returns the name of the link that the connection was made over.
func (c *Conn) Link() string { return c.link }

// stream returns the one Stream that stands for s.
func (c *Conn) stream(s *proto.Stream) *Stream {
	known := c.streams[s]
	if known == nil {
		known = &Stream{conn: c, proto: s}
		c.streams[s] = known
	}
	return known
}

// flush sends and tells everything that the connection wants to, and what comes of
// that.
func (c *Conn) flush(now clock.Time) {
	h := c.host
	for c.proto.AppendTransmit(now, &h.train) {
		h.send(now)
	}
	for {
		e, ok := c.proto.NextEvent()
		if !ok {
			break
		}
		h.endpoint.HandleEvent(c.proto, e)
		c.handlePath(now, e)
		c.handle(now, e)
		h.touch(c) // what the application did may be to be sent
	}
	c.timeout = min(c.proto.NextTimeout().OrNever(), c.nextReopen())
}

func (c *Conn) handle(now clock.Time, e proto.Event) {
	app := c.host.app
	if c.beaten && e.Kind != proto.Drained {
		return
	}
	switch e.Kind {
	case proto.HandshakeComplete:
		if c.race != nil {
			c.race.won(c)
		}
		c.connected = true
		app.Connected(c)
	case proto.StreamReadable:
		app.Readable(c.stream(e.Stream))
	case proto.StreamWritable:
		app.Writable(c.stream(e.Stream))
	case proto.StreamOpened:
		for {
			s, ok := c.proto.AcceptStream(e.Direction)
			if !ok {
				break
			}
			c.stream(s)
		}
	case proto.Closed:
		switch {
		case c.race != nil:
			c.race.failed(now, c, e.Err)
		case c.known():
			app.Closed(c, e.Err)
		}
	case proto.Drained:
		c.host.forget(c)
	}
}

// known reports whether the application has heard of the connection. A server's never
// hears of a handshake that came to nothing, as a listener's does not.
func (c *Conn) known() bool { return c.connected || len(c.streams) > 0 }
