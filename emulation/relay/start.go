package relay

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/tquiclab/tquiclab/emulation"
)

// StartKind says when the clock starts from which the traces, steps and timelines of
// all wires count.
type StartKind string

// The kinds.
const (
	StartFirstPacket StartKind = ""       // with the first packet on any wire
	StartUp          StartKind = "up"     // once the relay forwards
	StartManual      StartKind = "manual" // when a client says so (Client.Start)
)

func (k StartKind) validate() error {
	switch k {
	case StartFirstPacket, StartUp, StartManual:
		return nil
	}
	return fmt.Errorf("start %q is unknown: want nothing, up or manual", string(k))
}

// never is later than all that happens.
const never emulation.Time = math.MaxInt64

// start is the instant from which everything counts, from one arming of the clock to
// the next. It is set once. Forwarders look at it without a lock.
type start struct {
	byPacket bool // the first packet sets it
	instant  atomic.Int64
	known    chan struct{} // closed once it is set
	over     chan struct{} // closed when the clock is armed anew
}

func newStart(byPacket bool) *start {
	s := &start{byPacket: byPacket, known: make(chan struct{}), over: make(chan struct{})}
	s.instant.Store(int64(never))
	return s
}

// set starts the clock at a time, and reports whether it did: it may run already.
func (s *start) set(at emulation.Time) bool {
	if !s.instant.CompareAndSwap(int64(never), int64(at)) {
		return false
	}
	close(s.known)
	return true
}

// at returns when the clock started or will; false when that is not known.
func (s *start) at() (emulation.Time, bool) {
	at := emulation.Time(s.instant.Load())
	return at, at != never
}

const (
	protocolIGMP   = 2
	protocolICMPv6 = 58
	hopByHop       = 0
)

// startsClock reports whether a frame is a packet in the sense of StartFirstPacket:
// an IP packet that a node does not send by itself, as it does those of neighbour
// discovery (RFC 4861), MLD (RFC 3810) and IGMP.
func startsClock(frame []byte) bool {
	switch _, version := ipHeader(frame); version {
	case 4:
		return frame[ethernetHeader+9] != protocolIGMP
	case 6:
		protocol, payload := upperLayer(frame[ethernetHeader:])
		return protocol != protocolICMPv6 || len(payload) > 0 && !chatter(payload[0])
	}
	return false
}

// chatter reports whether an ICMPv6 type is of what nodes say by themselves.
func chatter(icmpType byte) bool {
	return icmpType >= 130 && icmpType <= 137 || icmpType == 143
}
