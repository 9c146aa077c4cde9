package handshake

import (
	"bytes"
	"crypto/tls"
	"slices"
)

// sessionTag marks our entry among the Extra ones of a session: crypto/tls lets
// several layers add to them.
const sessionTag = "tquic parameters 1:"

// remembered returns what this package put into a session.
func remembered(s *tls.SessionState) ([]byte, bool) {
	for _, extra := range s.Extra {
		if data, ok := bytes.CutPrefix(extra, []byte(sessionTag)); ok {
			return data, true
		}
	}
	return nil, false
}

// entry returns data as an entry of a session's Extra.
func entry(data []byte) []byte { return slices.Concat([]byte(sessionTag), data) }

// sessionCache hands out copies. crypto/tls would show the cached session itself to
// each connection that resumes it, and connections change theirs.
type sessionCache struct {
	tls.ClientSessionCache
}

// Get returns a copy of the session, or none when it cannot be copied.
func (c sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	cached, ok := c.ClientSessionCache.Get(key)
	if !ok || cached == nil {
		return nil, false
	}
	ticket, state, err := cached.ResumptionState()
	if err != nil || state == nil {
		return nil, false
	}
	encoded, err := state.Bytes()
	if err != nil {
		return nil, false
	}
	own, err := tls.ParseSessionState(encoded)
	if err != nil {
		return nil, false
	}
	session, err := tls.NewResumptionState(ticket, own)
	return session, err == nil
}
