package proto

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// maxDatagramsOut bounds the datagrams that wait to be sent.
	maxDatagramsOut = 64
	// maxDatagramsIn and maxDatagramBytesIn bound those that wait to be read.
	maxDatagramsIn     = 128
	maxDatagramBytesIn = 1 << 20
	// datagramPin is how many bytes of a receive buffer a waiting datagram may hold for
	// each byte of its own; beyond that it is copied.
	datagramPin = 64
)

// ErrNoDatagrams says that the peer takes no DATAGRAM frames.
var ErrNoDatagrams = errors.New("the peer accepts no datagrams")

// DatagramSizeError says that a datagram is too large for the peer or the path.
type DatagramSizeError struct {
	Size, Max int // bytes of payload
}

// Error returns both sizes.
func (e *DatagramSizeError) Error() string {
	return fmt.Sprintf("a datagram of %d bytes, the largest possible has %d", e.Size, e.Max)
}

// datagrams are the unreliable datagrams of a connection (RFC 9221): two bounded
// queues. Memory of the outgoing one is used again and again.
type datagrams struct {
	emit func(Event)

	own  wire.ByteCount // max_datagram_frame_size of this side, 0: none accepted
	peer wire.ByteCount // and of the peer
	path wire.ByteCount // largest frame that a packet has room for, 0: not known

	out             [maxDatagramsOut][]byte
	outFirst, outN  int
	in              [maxDatagramsIn]buf.View
	inFirst, inN    int
	inBytes         wire.ByteCount
	outLost, inLost uint64 // dropped here, not in the network
	copied          uint64 // received bytes copied
}

// init starts with the max_datagram_frame_size that this side advertises.
func (d *datagrams) init(own wire.ByteCount, emit func(Event)) {
	*d = datagrams{own: own, emit: emit}
}

// setPeerMax takes the peer's max_datagram_frame_size; 0: it accepts none.
func (d *datagrams) setPeerMax(n wire.ByteCount) { d.peer = n }

// setPathMax takes the size of the largest frame that a packet of the current path
// has room for. Larger ones that wait already are dropped when their turn comes.
func (d *datagrams) setPathMax(n wire.ByteCount) { d.path = n }

// maxPayload returns the largest payload that send takes, or -1 when it takes none.
func (d *datagrams) maxPayload() int {
	frame := d.peer
	if d.path > 0 {
		frame = min(frame, d.path)
	}
	n := int(min(frame, 1<<16)) // above any UDP payload
	if n < 2 {
		return -1
	}
	n = max(0, n-wire.DatagramHeaderLen(n))
	// The Length field may be shorter than one for the whole frame.
	for wire.DatagramHeaderLen(n+1)+n+1 <= int(frame) {
		n++
	}
	return n
}

// send queues a copy of p. It returns ErrNoDatagrams, a *DatagramSizeError, or
// ErrBlocked when as many as the queue holds wait.
func (d *datagrams) send(p []byte) error {
	// RFC 9221, section 3: none MUST be sent before the peer allowed it, nor a frame
	// larger than it allowed.
	largest := d.maxPayload()
	if d.peer == 0 || largest < 0 {
		return ErrNoDatagrams
	}
	if len(p) > largest {
		return &DatagramSizeError{Size: len(p), Max: largest}
	}
	if d.outN == len(d.out) {
		return ErrBlocked
	}
	slot := &d.out[(d.outFirst+d.outN)%len(d.out)]
	*slot = append((*slot)[:0], p...)
	d.outN++
	return nil
}

// hasFrames reports whether appendFrame has something to send.
func (d *datagrams) hasFrames() bool { return d.outN > 0 }

// appendFrame appends the oldest datagram and reports whether it did. Those that no
// packet of the path has room for are dropped (RFC 9221, section 5: they cannot be
// fragmented). The frame has no Length when with it the packet is full to the last
// byte, or would be more than full: then PADDING goes before.
func (d *datagrams) appendFrame(w *builder) bool {
	for d.outN > 0 && d.path > 0 && 1+wire.ByteCount(len(d.out[d.outFirst])) > d.path {
		d.popOut()
		d.outLost++
	}
	if d.outN == 0 {
		return false
	}
	f := wire.Datagram{Data: d.out[d.outFirst]}
	t, padding := wire.TypeDatagramLen, w.room()-1-len(f.Data)
	switch {
	case padding < 0:
		return false
	case padding == 0 || f.Len() > w.room():
		f.NoLength, t = true, wire.TypeDatagram
		for range padding {
			w.b = append(w.b, byte(wire.TypePadding))
		}
	}
	w.b = f.Append(w.b)
	w.added(t)
	// RFC 9221, section 5.2: not sent again when lost; noted for the counters.
	w.note(frameRef{kind: refDatagram, n: uint32(len(f.Data))})
	d.popOut()
	return true
}

func (d *datagrams) popOut() {
	d.outFirst = (d.outFirst + 1) % len(d.out)
	d.outN--
}

// receive takes a DATAGRAM frame whose data lies in b: keep, or copied where b is nil
// or much larger than the data. The oldest make room for it. It returns a
// *wire.TransportError for a frame that this side did not allow.
func (d *datagrams) receive(f wire.Datagram, b *buf.Buffer) error {
	// RFC 9221, section 3: without support advertised, or above the size advertised, a
	// frame MUST be a PROTOCOL_VIOLATION.
	if n := wire.ByteCount(f.Len()); n > d.own {
		e := wire.Errorf(wire.ProtocolViolation, "a frame of %d bytes, %d are allowed", n, d.own)
		e.Frame = wire.TypeDatagram
		return e
	}
	size := wire.ByteCount(len(f.Data))
	for d.inN == len(d.in) || (d.inN > 0 && d.inBytes+size > maxDatagramBytesIn) {
		v, _ := d.take()
		v.Release()
		d.inLost++
	}
	v := buf.View{Bytes: f.Data, Buffer: b}
	if b == nil || len(b.Data) > datagramPin*len(f.Data) {
		v = buf.View{Bytes: append([]byte(nil), f.Data...)}
		d.copied += uint64(size)
	} else {
		b.Retain()
	}
	d.in[(d.inFirst+d.inN)%len(d.in)] = v
	d.inN++
	d.inBytes += size
	if d.inN == 1 {
		d.emit(Event{Kind: DatagramReceived})
	}
	return nil
}

// take returns the oldest received datagram: give. There may be none.
func (d *datagrams) take() (buf.View, bool) {
	if d.inN == 0 {
		return buf.View{}, false
	}
	v := d.in[d.inFirst]
	d.in[d.inFirst] = buf.View{}
	d.inFirst = (d.inFirst + 1) % len(d.in)
	d.inN--
	d.inBytes -= wire.ByteCount(len(v.Bytes))
	return v, true
}

// close releases what waits to be read and drops what waits to be sent.
func (d *datagrams) close() {
	for d.inN > 0 {
		v, _ := d.take()
		v.Release()
	}
	d.outN = 0
}
