package tcp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

const (
	preambleMagic = "TQL-TCP1"
	tokenSize     = 15
	preambleSize  = len(preambleMagic) + 1 + tokenSize
)

// Bounds on what connections may do before they belong to a session.
const (
	preambleTimeout = 5 * time.Second // TLS handshake and preamble
	maxPending      = 128             // connections within it
	backlog         = 64              // sessions that wait for Accept
)

// What a connection is.
const (
	kindControl byte = 1
	kindStream  byte = 2
)

// Single bytes after the preamble.
const (
	byteWelcome byte = 0x57 // listener, on the control connection
	byteOpen    byte = 0x4f // dialler: the connection is a stream from here on
)

// token names a session.
type token [tokenSize]byte

func newToken() (t token) {
	rand.Read(t[:]) // never fails
	return t
}

// preamble is the first thing on every connection.
type preamble struct {
	kind  byte
	token token
}

func (p preamble) bytes() []byte {
	b := append(make([]byte, 0, preambleSize), preambleMagic...)
	b = append(b, p.kind)
	return append(b, p.token[:]...)
}

func parsePreamble(b []byte) (preamble, error) {
	if len(b) != preambleSize || string(b[:len(preambleMagic)]) != preambleMagic {
		return preamble{}, errors.New("the connection does not begin with a preamble")
	}
	p := preamble{kind: b[len(preambleMagic)], token: token(b[len(preambleMagic)+1:])}
	if p.kind != kindControl && p.kind != kindStream {
		return preamble{}, fmt.Errorf("preamble has unknown kind %d", p.kind)
	}
	return p, nil
}
