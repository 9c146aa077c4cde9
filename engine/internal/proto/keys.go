package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// keys is what a connection seals and opens packets with. A level's are nil before
// they exist and after they were discarded.
type keys struct {
	initialSeal, handshakeSeal, earlySeal *handshake.Sealer
	initialOpen, handshakeOpen, earlyOpen *handshake.Opener
	oneRTT                                *handshake.OneRTT
	// earlyUntil is when a server forgets 0-RTT keys (RFC 9001, section 4.9.3).
	earlyUntil clock.Time
}

// sealer returns the keys for a long header packet, or nil.
func (k *keys) sealer(t wire.PacketType) *handshake.Sealer {
	switch t {
	case wire.PacketInitial:
		return k.initialSeal
	case wire.PacketHandshake:
		return k.handshakeSeal
	case wire.PacketZeroRTT:
		return k.earlySeal
	}
	return nil
}

// opener returns the keys for a long header packet, or nil.
func (k *keys) opener(t wire.PacketType) *handshake.Opener {
	switch t {
	case wire.PacketInitial:
		return k.initialOpen
	case wire.PacketHandshake:
		return k.handshakeOpen
	case wire.PacketZeroRTT:
		return k.earlyOpen
	}
	return nil
}

// spaceOf returns the packet number space of a packet type (RFC 9000, section 12.3).
func spaceOf(t wire.PacketType) recovery.Space {
	switch t {
	case wire.PacketInitial:
		return recovery.SpaceInitial
	case wire.PacketHandshake:
		return recovery.SpaceHandshake
	}
	return recovery.SpaceApplication
}

// levelOf returns the encryption level whose CRYPTO data a packet type carries.
func levelOf(t wire.PacketType) handshake.Level {
	switch t {
	case wire.PacketInitial:
		return handshake.LevelInitial
	case wire.PacketHandshake:
		return handshake.LevelHandshake
	case wire.PacketZeroRTT:
		return handshake.LevelEarly
	}
	return handshake.LevelOneRTT
}

func spaceOfLevel(l handshake.Level) recovery.Space {
	switch l {
	case handshake.LevelInitial:
		return recovery.SpaceInitial
	case handshake.LevelHandshake:
		return recovery.SpaceHandshake
	}
	return recovery.SpaceApplication
}

func (c *Conn) installInitialKeys(id wire.ConnID) {
	c.keys.initialSeal, c.keys.initialOpen = handshake.InitialKeys(wire.Version1, id, c.side)
}

// discard forgets a level: its keys, what was sent in it, what it wants to send (RFC
// 9001, section 4.9).
func (c *Conn) discard(now clock.Time, sp recovery.Space) {
	s := &c.path0.spaces[sp]
	if s.discarded {
		return
	}
	s.discarded = true
	switch sp {
	case recovery.SpaceInitial:
		c.keys.initialSeal, c.keys.initialOpen = nil, nil
		c.traceKeyDiscarded(now, wire.PacketInitial)
	case recovery.SpaceHandshake:
		c.keys.handshakeSeal, c.keys.handshakeOpen = nil, nil
		c.traceKeyDiscarded(now, wire.PacketHandshake)
	}
	c.outcome.Reset()
	c.path0.det.Discard(sp, &c.outcome)
	s.log = refLog{}
	s.crypto = cryptoStream{}
	s.acks = acks{}
}

// Bounds on packets that came before their keys: a reordered flight, not more.
const (
	maxWaiting      = 16
	maxWaitingBytes = 24 << 10
)

// waitingPacket is a packet whose keys are not there yet.
type waitingPacket struct {
	kind wire.PacketType
	data []byte
	ecn  wire.ECN
	at   tuple
}

// keepWaiting copies a packet until its keys come. RFC 9001, section 5.7: MAY.
func (c *Conn) keepWaiting(kind wire.PacketType, b []byte, d *Datagram) {
	held := 0
	for _, w := range c.waiting {
		held += len(w.data)
	}
	if len(c.waiting) >= maxWaiting || held+len(b) > maxWaitingBytes {
		return
	}
	c.waiting = append(c.waiting, waitingPacket{kind, append([]byte(nil), b...), d.ECN, tuple{d.Local, d.Remote}})
}

// retryWaiting handles the packets whose keys are there by now. Once the handshake is
// complete no more keys come.
func (c *Conn) retryWaiting(now clock.Time) {
	for again := true; again; {
		again = false
		for i, w := range c.waiting {
			if !c.canOpen(w.kind) {
				continue
			}
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			d := Datagram{Local: w.at.local, Remote: w.at.remote, ECN: w.ecn, Data: w.data, Buffer: (*buf.Buffer)(nil)}
			c.handlePackets(now, &d, w.data)
			again = true
			break
		}
	}
	if c.complete {
		c.waiting = nil
	}
}

func (c *Conn) canOpen(t wire.PacketType) bool {
	if t == wire.PacketOneRTT {
		return c.keys.oneRTT != nil && c.keys.oneRTT.CanOpen()
	}
	return c.keys.opener(t) != nil
}
