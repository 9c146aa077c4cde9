package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// missIDs: the client has opened p, and no connection ID of it is there to answer with. It
// may be under way; else it is asked for, once.
//
// draft-ietf-quic-multipath-21, section 3.1: the answer may wait until there is one. The client
// asks again, and gives up at last: it should learn why before.
func (c *Conn) missIDs(now clock.Time, p *path) {
	if p.missing != 0 {
		return
	}
	c.askForIDs(p)
	p.missing = now.Add(lingerPTOs * max(c.pto(), recovery.DefaultInitialRTT))
	c.multi.missing = min(c.multi.missing.OrNever(), p.missing)
}

// askForIDs tells the peer that a connection ID of it is missed (PATH_CIDS_BLOCKED;
// draft-ietf-quic-multipath-21, section 3.2.2: MAY).
func (c *Conn) askForIDs(p *path) {
	m := &c.multi
	if !m.on {
		return
	}
	if m.cidsOf != p.id {
		m.cids = blockedFrame{}
	}
	m.cids, m.cidsOf = m.cids.ask(p.peer.expected()), p.id
}

// missingTimeout abandons the paths whose connection IDs did not come
// (draft-ietf-quic-multipath-21, section 4.2.1).
func (c *Conn) missingTimeout(now clock.Time) {
	if now < c.multi.missing.OrNever() {
		return
	}
	c.multi.missing = 0
	for _, p := range c.paths {
		switch {
		case p.missing == 0 || p.state != PathUnused:
		case now >= p.missing:
			c.abandon(now, p, wire.NoCIDAvailableForPath)
		default:
			c.multi.missing = min(c.multi.missing.OrNever(), p.missing)
		}
	}
}
