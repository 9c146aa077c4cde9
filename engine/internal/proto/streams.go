package proto

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// streams is all streams of a connection, and the flow control over them together.
// What comes in is in streams_in.go, what goes out in streams_out.go.
//
// A stream is forgotten when both its halves are over. One that is not in byID and
// was opened once is closed: frames for it are late and ignored.
type streams struct {
	side wire.Perspective
	pool *buf.Pool
	emit func(Event)
	err  error // why the connection is over

	now clock.Time // of the last STREAM frame
	rtt time.Duration

	byID map[wire.StreamID]*Stream
	last *Stream // that was looked up

	local    [2]credit // by direction: streams that the peer allows, and that we opened
	peer     [2]peerStreams
	incoming [2]streamQueue // opened by the peer, not accepted

	window window // over what the peer sends
	credit credit // over what we send

	peerInitial streamLimits
	refused     bool // 0-RTT was: the next limits need not be above the last

	streamWindow, maxStreamWindow uint64
	sendBuffer                    uint64

	// Streams that have something to send: control frames; STREAM frames that need no
	// credit; STREAM frames with new data. They may hold streams that have nothing any
	// more: see the front functions.
	wants                   connFrames
	control, repeats, fresh streamQueue
	// holdRepeats: what is to be repeated waits for a better path than the train's.
	holdRepeats bool

	copies copyCounts
	counts streamCounts
}

// peerStreams counts the streams of one direction that the peer opens.
type peerStreams struct {
	limit  uint64 // what the peer was told
	opened uint64
	closed uint64
	max    uint64 // at once
	// blocked: the peer has used the limit up, as it says. It may have opened streams of
	// which nothing was heard.
	blocked bool
}

// allows returns the limit that could be told.
func (p *peerStreams) allows() uint64 { return min(p.closed+p.max, wire.MaxStreamCount) }

// due reports whether that is worth a frame: for an eighth of the streams, or when
// the peer has few left or says that it waits.
func (p *peerStreams) due() bool {
	more := p.allows() - p.limit
	return more > 0 && (more*8 >= p.max || (p.limit-p.opened)*8 < p.max || p.blocked)
}

// told says that the peer is told of limit.
func (p *peerStreams) told(limit uint64) { p.limit, p.blocked = limit, false }

// connFrames is the frames that are to be sent for the connection. Those for a
// direction are shifted by it.
type connFrames uint8

const (
	wantConnMaxData connFrames = 1 << iota
	wantDataBlocked
	wantMaxStreams // bidirectional, and the next bit for unidirectional
	_
	wantStreamsBlocked // likewise
)

// copyCounts counts the payload bytes that were copied, by site.
type copyCounts struct {
	Write      uint64 // from the application into the send buffer
	Packet     uint64 // from there into packets
	Reassembly uint64 // of received data, to hold less memory
	Read       uint64 // to the application
}

// Total returns the bytes copied at all sites.
func (c copyCounts) Total() uint64 { return c.Write + c.Packet + c.Reassembly + c.Read }

// streamCounts counts streams and stream data.
type streamCounts struct {
	Opened   uint64 // by us
	Accepted uint64 // by the peer, whether accepted yet or not
	Closed   uint64
	Sent     uint64 // payload bytes in STREAM frames, repeated ones included
	Resent   uint64
	Received uint64 // payload bytes in STREAM frames, repeated ones included
}

// streamLimits is the transport parameters about streams, of one side.
type streamLimits struct {
	data       uint64
	bidiLocal  uint64
	bidiRemote uint64
	uni        uint64
	streams    [2]uint64 // by direction
}

// streamsConfig is what streams needs to begin.
type streamsConfig struct {
	side   wire.Perspective
	pool   *buf.Pool // of send chunks
	config *Config
	emit   func(Event) // keeps the events for the owner
}

func (ss *streams) init(c streamsConfig) {
	or := func(v, otherwise wire.ByteCount) uint64 {
		if v <= 0 {
			v = otherwise
		}
		return uint64(v)
	}
	count := func(v int64) uint64 {
		switch {
		case v == 0:
			return 100
		case v < 0:
			return 0
		}
		return min(uint64(v), wire.MaxStreamCount)
	}
	*ss = streams{
		side: c.side, pool: c.pool, emit: c.emit,
		byID:            make(map[wire.StreamID]*Stream),
		streamWindow:    min(or(c.config.StreamWindow, 512<<10), wire.MaxVarint),
		maxStreamWindow: or(c.config.MaxStreamWindow, 16<<20),
		sendBuffer:      or(c.config.SendBuffer, 4<<20),
	}
	ss.window.init(or(c.config.ConnWindow, 1<<20), or(c.config.MaxConnWindow, 32<<20))
	for d, n := range [2]uint64{wire.Bidi: count(c.config.MaxBidiStreams), wire.Uni: count(c.config.MaxUniStreams)} {
		ss.peer[d] = peerStreams{limit: n, max: n}
	}
}

// localLimits puts our initial limits into p.
func (ss *streams) localLimits(p *wire.TransportParameters) {
	p.InitialMaxData = ss.window.limit
	p.InitialMaxStreamDataBidiLocal = ss.streamWindow
	p.InitialMaxStreamDataBidiRemote = ss.streamWindow
	p.InitialMaxStreamDataUni = ss.streamWindow
	p.InitialMaxStreamsBidi = ss.peer[wire.Bidi].limit
	p.InitialMaxStreamsUni = ss.peer[wire.Uni].limit
}

// setPeerLimits takes the peer's initial limits: remembered ones for 0-RTT, then
// those of the handshake. RFC 9000, section 7.4.1: these may only be larger; smaller
// ones, which the caller should treat as an error, change nothing.
func (ss *streams) setPeerLimits(p *wire.TransportParameters) {
	ss.peerInitial = streamLimits{
		data:       p.InitialMaxData,
		bidiLocal:  p.InitialMaxStreamDataBidiLocal,
		bidiRemote: p.InitialMaxStreamDataBidiRemote,
		uni:        p.InitialMaxStreamDataUni,
		streams:    [2]uint64{wire.Bidi: p.InitialMaxStreamsBidi, wire.Uni: p.InitialMaxStreamsUni},
	}
	if ss.err != nil {
		return
	}
	if ss.refused {
		ss.refused = false
		before := ss.local
		ss.resetLimits()
		for d := range ss.local { // what is more than before is to be told below
			ss.local[d].limit = min(ss.local[d].limit, before[d].limit)
		}
	}
	ss.credit.raise(ss.peerInitial.data)
	for d, n := range ss.peerInitial.streams {
		ss.allowStreams(wire.Direction(d), n)
	}
	for _, s := range ss.ordered() {
		s.send.credit.raise(ss.initialCredit(s.id))
		ss.want(s, s.wants)
		ss.schedule(s)
	}
}

// resetLimits makes the peer's initial limits all that it allows.
func (ss *streams) resetLimits() {
	ss.credit = credit{limit: ss.peerInitial.data, used: ss.credit.used}
	for d, n := range ss.peerInitial.streams {
		ss.local[d] = credit{limit: n, used: ss.local[d].used}
	}
	for _, s := range ss.ordered() {
		s.send.credit = credit{limit: ss.initialCredit(s.id)}
	}
}

// initialCredit returns how much may be sent on a stream at first.
func (ss *streams) initialCredit(id wire.StreamID) uint64 {
	switch {
	case id.Direction() == wire.Uni:
		return ss.peerInitial.uni
	case id.Initiator() == ss.side: // remote, from where the peer stands
		return ss.peerInitial.bidiRemote
	}
	return ss.peerInitial.bidiLocal
}

// setRTT says what the round trip time is, for the windows to tune themselves.
func (ss *streams) setRTT(d time.Duration) { ss.rtt = d }

// open opens a stream. ErrBlocked: the peer allows no more of them now; it is told,
// and StreamsAvailable says when it does.
func (ss *streams) open(d wire.Direction) (*Stream, error) {
	if ss.err != nil {
		return nil, ss.err
	}
	// RFC 9000, section 4.6: the peer's limit MUST NOT be exceeded.
	if ss.local[d].left() == 0 {
		if ss.local[d].blocked() {
			ss.wants |= wantStreamsBlocked << d
		}
		return nil, ErrBlocked
	}
	id := wire.NewStreamID(ss.side, d, ss.local[d].used)
	ss.local[d].used++
	ss.counts.Opened++
	return ss.create(id), nil
}

// accept returns the next stream that the peer opened.
func (ss *streams) accept(d wire.Direction) (*Stream, bool) {
	if ss.incoming[d].front() == nil {
		return nil, false
	}
	return ss.incoming[d].pop(), true
}

func (ss *streams) create(id wire.StreamID) *Stream {
	s := &Stream{id: id, all: ss}
	ours, both := id.Initiator() == ss.side, id.Direction() == wire.Bidi
	if ours || both {
		s.send.state = sendReady
		s.send.credit.limit = ss.initialCredit(id)
		s.send.data.init(ss.pool, &ss.copies.Write)
	}
	if !ours || both {
		s.recv.state = recvRecv
		s.recv.data.copied = &ss.copies.Reassembly
		s.recv.window.init(ss.streamWindow, ss.maxStreamWindow)
	}
	ss.byID[id] = s
	return s
}

// held reports whether the stream must not be used yet: it was opened in 0-RTT that
// was refused, and the peer's real limit is below it.
func (ss *streams) held(s *Stream) bool {
	return s.id.Initiator() == ss.side && s.id.Number() >= ss.local[s.id.Direction()].limit
}

// allowStreams raises the number of streams that we may open.
func (ss *streams) allowStreams(d wire.Direction, limit uint64) {
	c := &ss.local[d]
	from := c.limit
	if !c.raise(limit) {
		return
	}
	ss.wants &^= wantStreamsBlocked << d
	for n := from; n < min(limit, c.used); n++ { // those that were held
		if s := ss.byID[wire.NewStreamID(ss.side, d, n)]; s != nil {
			ss.want(s, s.wants)
			ss.schedule(s)
		}
	}
	ss.emit(Event{Kind: StreamsAvailable, Direction: d})
}

// forgetIfDone forgets the stream if both halves are over, and lets the peer open
// another one for it.
func (ss *streams) forgetIfDone(s *Stream) {
	if s.forgotten || !s.Done() {
		return
	}
	s.forgotten = true
	s.wants = 0
	delete(ss.byID, s.id)
	if ss.last == s {
		ss.last = nil
	}
	ss.counts.Closed++
	if d := s.id.Direction(); s.id.Initiator() != ss.side {
		ss.peer[d].closed++
		if ss.peer[d].due() {
			ss.wants |= wantMaxStreams << d
		}
	}
}

// earlyRejected says that the server refused 0-RTT: all that was sent is unsent
// again, and the limits are the peer's initial ones, whether setPeerLimits has the
// real ones already or gets them next.
func (ss *streams) earlyRejected() {
	if ss.err != nil {
		return
	}
	ss.refused = true
	ss.credit.used = 0
	ss.resetLimits()
	for _, s := range ss.ordered() {
		if s.send.rewind() {
			s.wants |= wantReset
		}
		if s.recv.stop {
			s.wants |= wantStop
		}
		ss.want(s, s.wants)
		ss.schedule(s)
	}
}

// close ends all streams: their buffers are released, and every later call gives
// err.
func (ss *streams) close(err error) {
	if ss.err != nil {
		return
	}
	ss.err = err
	for _, s := range ss.ordered() {
		s.send.data.discard()
		s.recv.data.discard()
	}
	ss.byID, ss.last, ss.wants = nil, nil, 0
	ss.control, ss.repeats, ss.fresh = streamQueue{}, streamQueue{}, streamQueue{}
	ss.incoming = [2]streamQueue{}
}

// ordered returns the streams by ID, so that what is done for all of them is done in
// the same order each time.
func (ss *streams) ordered() []*Stream {
	return slices.SortedFunc(maps.Values(ss.byID), func(a, b *Stream) int { return cmp.Compare(a.id, b.id) })
}
