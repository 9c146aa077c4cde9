package proto

import (
	"math"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// amplificationFactor is how much may be sent to an address not yet validated, for
// each byte received from it (RFC 9000, section 8).
const amplificationFactor = 3

// amplification is the anti-amplification limit towards one remote address (RFC
// 9000, section 8.1). The zero value is a fresh address. A client needs none: it
// validates at once.
type amplification struct {
	in, out wire.ByteCount
	valid   bool
}

// received counts the UDP payload of a datagram from the address. RFC 9000, section
// 8.1: all payload bytes MUST be counted of datagrams that are this connection's,
// those included whose packets are all discarded.
func (a *amplification) received(n wire.ByteCount) { a.in += n }

// sent counts the UDP payload of a datagram to the address.
func (a *amplification) sent(n wire.ByteCount) { a.out += n }

// validate lifts the limit: the address is the peer's.
func (a *amplification) validate() { a.valid = true }

// validated reports whether the limit is lifted.
func (a *amplification) validated() bool { return a.valid }

// room returns how many bytes may be sent to the address now. RFC 9000, section 8:
// before validation it MUST be no more than three times what came from it.
func (a *amplification) room() wire.ByteCount {
	if a.valid {
		return math.MaxInt64
	}
	return max(0, amplificationFactor*a.in-a.out)
}
