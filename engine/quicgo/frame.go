package quicgo

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bonded streams ride on lanes: one QUIC stream of each connection. Everything on
// a lane is a frame: a header of 16 bytes, then length bytes of body. All numbers
// are big-endian.
//
//	kind (1)  flags (1)  zero (2)  length (4)  offset (8)
const frameHeader = 16

type frameKind uint8

const (
	// frameHello opens a connection's control stream: offset is zero, the body a
	// hello. The listener answers with frameWelcome.
	frameHello frameKind = 1 + iota
	frameWelcome
	// frameOpen is a lane's first frame: offset is the bonded stream's number, the
	// body the lane's (4 bytes).
	frameOpen
	// frameData carries a chunk: offset is the first byte's, flagFin says that the
	// stream ends after its last.
	frameData
	// frameAck carries an ack: offset is ack.next.
	frameAck
	// frameStop says that the other side reads no more.
	frameStop
)

const flagFin = 1

// Bounds of what a peer may send.
const (
	helloSize = 8 + tokenSize
	tokenSize = 16
	ackFixed  = 8  // limit
	ackLane   = 12 // lane, count
	maxLanes  = 64 // of one bonded stream, over its life
)

const helloMagic = "TQL-BOND"

// token names a session. It is random and travels encrypted, so nobody else can
// join the session.
type token [tokenSize]byte

// laneID numbers the lanes of one bonded stream. The dialler gives it.
type laneID uint32

type header struct {
	kind   frameKind
	fin    bool
	length int
	offset int64
}

// put writes the header into the first frameHeader bytes of b.
func (h header) put(b []byte) {
	var flags byte
	if h.fin {
		flags = flagFin
	}
	b[0], b[1], b[2], b[3] = byte(h.kind), flags, 0, 0
	binary.BigEndian.PutUint32(b[4:], uint32(h.length))
	binary.BigEndian.PutUint64(b[8:], uint64(h.offset))
}

// parseHeader reads the frameHeader bytes of b and checks them as far as they
// stand alone.
func parseHeader(b []byte) (header, error) {
	if len(b) != frameHeader {
		return header{}, fmt.Errorf("frame header has %d bytes, not %d", len(b), frameHeader)
	}
	h := header{
		kind:   frameKind(b[0]),
		fin:    b[1]&flagFin != 0,
		length: int(binary.BigEndian.Uint32(b[4:])),
		offset: int64(binary.BigEndian.Uint64(b[8:])),
	}
	if h.offset < 0 {
		return header{}, errors.New("frame has an offset past 2^63")
	}
	if b[1]&^flagFin != 0 || b[2] != 0 || b[3] != 0 || h.fin && h.kind != frameData {
		return header{}, errors.New("frame has unknown flags")
	}
	ok := false
	switch h.kind {
	case frameHello:
		ok = h.length == helloSize
	case frameOpen:
		ok = h.length == 4
	case frameData:
		ok = h.length <= chunkSize && (h.length > 0 || h.fin) && h.offset <= 1<<62
	case frameAck:
		lanes := h.length - ackFixed
		ok = lanes >= 0 && lanes%ackLane == 0 && lanes/ackLane <= maxLanes
	case frameWelcome, frameStop:
		ok = h.length == 0
	default:
		return header{}, fmt.Errorf("frame has unknown kind %d", b[0])
	}
	if !ok {
		return header{}, fmt.Errorf("frame of kind %d has a length of %d", h.kind, h.length)
	}
	return h, nil
}

// ack is the receiver's state: all of it each time, so that any ack replaces every
// earlier one, whichever lane brought it.
type ack struct {
	next  int64 // every byte before it has arrived
	limit int64 // the sender may send bytes before it
	lanes []laneCount
}

// laneCount says how many data frames a lane has delivered. A lane is in order, so
// the count names the frames.
type laneCount struct {
	lane  laneID
	count uint64
}

// appendFrame appends the whole frame.
func (a ack) appendFrame(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, frameHeader)...)
	header{kind: frameAck, length: ackFixed + ackLane*len(a.lanes), offset: a.next}.put(b[at:])
	b = binary.BigEndian.AppendUint64(b, uint64(a.limit))
	for _, l := range a.lanes {
		b = binary.BigEndian.AppendUint32(b, uint32(l.lane))
		b = binary.BigEndian.AppendUint64(b, l.count)
	}
	return b
}

// parse reads the body of an ack frame into a, reusing a.lanes.
func (a *ack) parse(h header, body []byte) error {
	if len(body) != h.length || len(body) < ackFixed {
		return fmt.Errorf("ack has %d bytes, its header says %d", len(body), h.length)
	}
	limit := int64(binary.BigEndian.Uint64(body))
	if limit < h.offset {
		return fmt.Errorf("ack has limit %d before offset %d", limit, h.offset)
	}
	a.next, a.limit, a.lanes = h.offset, limit, a.lanes[:0]
	for body = body[ackFixed:]; len(body) >= ackLane; body = body[ackLane:] {
		a.lanes = append(a.lanes, laneCount{
			lane:  laneID(binary.BigEndian.Uint32(body)),
			count: binary.BigEndian.Uint64(body[4:]),
		})
	}
	return nil
}

// helloFrame returns the frame that joins a connection to a session.
func helloFrame(t token) []byte {
	b := make([]byte, frameHeader, frameHeader+helloSize)
	header{kind: frameHello, length: helloSize}.put(b)
	b = append(b, helloMagic...)
	return append(b, t[:]...)
}

// parseHello reads the body of a hello.
func parseHello(body []byte) (token, error) {
	if len(body) != helloSize || string(body[:len(helloMagic)]) != helloMagic {
		return token{}, errors.New("the connection's first frame is no hello")
	}
	return token(body[len(helloMagic):]), nil
}

// openFrame returns a lane's first frame.
func openFrame(stream int64, lane laneID) []byte {
	b := make([]byte, frameHeader, frameHeader+4)
	header{kind: frameOpen, length: 4, offset: stream}.put(b)
	return binary.BigEndian.AppendUint32(b, uint32(lane))
}
