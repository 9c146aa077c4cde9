package driver

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// How many trains somebody writes before it leaves the rest to the connection's
// goroutine.
const (
	readerTrains = 4 // others wait for the reader
	closeTrains  = 1
	allTrains    = 1 << 30
)

// run is the connection's goroutine: it keeps the timer, and sends what the
// application's calls and the reader leave to it.
func (c *Conn) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.finished() {
		now := c.now()
		if now >= c.core.NextTimeout() {
			c.core.HandleTimeout(now)
		}
		c.settle(allTrains)
		if c.finished() {
			break
		}
		c.armed = min(c.core.NextTimeout(), c.leave())
		c.sleeping = true
		c.mu.Unlock()
		c.sleep(timer)
		c.mu.Lock()
		c.sleeping = false
	}
}

// now returns the time for the connection.
func (c *Conn) now() clock.Time { return c.notBack(c.e.now()) }

// notBack returns a time that was read before the connection was locked, but never
// one before what another owner has told the connection since.
func (c *Conn) notBack(t clock.Time) clock.Time {
	c.latest = max(c.latest, t)
	return c.latest
}

const (
	// lateTimer is how late a timer must fire to say that this process did not run, rather
	// than that the peer is silent.
	lateTimer = 2 * time.Millisecond
	// readFirst is what the reader gets then, to take what came meanwhile.
	readFirst = 200 * time.Microsecond
)

// sleep returns when the timer is due, or earlier when woken. A process that was stopped, or
// starved, has acknowledgements to read before it may take a path for silent.
func (c *Conn) sleep(timer *time.Timer) {
	if c.armed == clock.Never {
		<-c.wake
		return
	}
	timer.Reset(c.armed.Sub(c.e.now()))
	select {
	case <-c.wake:
	case <-timer.C:
		if c.e.now().Sub(c.armed) > lateTimer {
			time.Sleep(readFirst)
		}
	}
}

// finished reports whether the goroutine has nothing left to do.
func (c *Conn) finished() bool {
	select {
	case <-c.gone:
		return true
	default:
		return c.aborted
	}
}

// receive handles datagrams of one batch (borrow).
func (c *Conn) receive(now clock.Time, batch []delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.notBack(now)
	for i := range batch {
		if batch[i].reset {
			c.core.HandleReset(now)
		} else {
			c.core.HandleDatagram(now, &batch[i].datagram)
		}
	}
	c.settle(readerTrains)
}

// settle is what every owner ends with: events out, trains out, timer. c.mu is held,
// but not while a train is written.
func (c *Conn) settle(trains int) {
	c.drainEvents()
	c.flush(trains)
	if c.core.NextTimeout() < c.armed {
		c.wakeUp()
	}
}

// flush sends what there is to send, trains at most. Whoever is sending already goes
// on and sends it.
func (c *Conn) flush(trains int) {
	if c.sending {
		return
	}
	c.sending = true
	memory := c.e.trains.Get()
	c.train.Buf = memory.Data[:0]
	defer func() {
		c.train.Buf = nil
		memory.Release()
		c.sending = false
		c.sent.Broadcast()
	}()
	for ; ; trains-- {
		if trains == 0 {
			c.wakeUp() // there may be more
			return
		}
		t := &c.train
		t.MaxSegments = c.sockets.maxSegments()
		if !c.core.AppendTransmit(c.now(), t) {
			c.blocked = c.core.WantsToSend()
			c.drainEvents()
			return
		}
		if c.roomless {
			c.roomless = false
			c.datagramOutRoom.set()
		}
		c.drainEvents() // routes for IDs that are in the train
		s := c.sockets.find(c.e, t.Local)
		c.mu.Unlock()
		send(s, t)
		c.mu.Lock()
	}
}

// requestSend has the connection's goroutine send what the application asked for,
// unless somebody is about to, or it must wait for a packet or the timer anyhow.
func (c *Conn) requestSend() {
	if !c.sending && !c.blocked && c.core.WantsToSend() {
		c.wakeUp()
	}
}

// wakeUp wakes the goroutine if it sleeps.
func (c *Conn) wakeUp() {
	if c.sleeping {
		c.sleeping = false
		c.wake.set()
	}
}

// drainEvents passes on what the connection has to say.
func (c *Conn) drainEvents() {
	for {
		ev, ok := c.core.NextEvent()
		if !ok {
			return
		}
		c.handleEvent(ev)
	}
}

func (c *Conn) handleEvent(ev proto.Event) {
	switch ev.Kind {
	case proto.StreamReadable:
		if s, ok := ev.Stream.Owner.(*Stream); ok {
			s.readable.set()
		}
		return
	case proto.StreamWritable:
		if s, ok := ev.Stream.Owner.(*Stream); ok {
			s.writable.set()
		}
		return
	case proto.StreamOpened:
		c.incoming[ev.Direction].set()
		return
	case proto.StreamsAvailable:
		c.outgoing[ev.Direction].set()
		return
	case proto.DatagramReceived:
		c.datagramIn.set()
		return
	case proto.PathOpened, proto.PathValidated, proto.PathFailed, proto.PathRecovered, proto.PathClosed, proto.PathsAvailable:
		c.notePath(ev)
		return
	case proto.PathChanged:
		c.local, c.remote = c.core.Addresses()
	case proto.HandshakeConfirmed:
		finish(c.confirmed)
	case proto.Closed:
		c.err = ev.Err
	}
	c.e.handleEvent(c, ev)
	switch ev.Kind {
	case proto.HandshakeComplete:
		if c.refused {
			c.core.Close(c.now(), 0, "too many connections wait to be accepted")
		}
		finish(c.complete)
	case proto.Closed:
		finish(c.done)
	case proto.Drained:
		c.finish()
	}
}
