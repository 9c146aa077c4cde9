package handshake

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// maxHeld bounds the CRYPTO data kept for a level that TLS does not read yet.
const maxHeld = 64 << 10

// alertNoApplicationProtocol is TLS's alert of that name (RFC 7301, section 3.2).
const alertNoApplicationProtocol tls.AlertError = 120

// TLS is one side of a TLS 1.3 handshake whose messages go through CRYPTO frames
// (RFC 9001, section 4). After each call the owner drains NextEvent.
type TLS struct {
	config Config
	conn   *tls.QUICConn
	queue  eventQueue

	started, closed bool
	cause           error                // of crypto/tls
	err             *wire.TransportError // what it became

	reading Level          // that TLS takes CRYPTO data of
	held    [levels][]byte // CRYPTO data of later levels

	post postHandshake

	oneRTT     *OneRTT
	parameters []byte // the peer's
	early      earlyState
}

// earlyState is what a client knows of its 0-RTT.
type earlyState uint8

const (
	earlyNone earlyState = iota
	earlyOffered
	earlyDecided
)

// New returns a TLS that Start starts. It returns an error that says what is wrong
// with the configuration.
func New(c Config) (*TLS, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Side == wire.Server {
		// A Config without ticket keys makes its own on first use; a copy made earlier
		// would have others, and no ticket would outlive its connection. To open a ticket
		// is first use.
		if _, err := c.TLS.DecryptTicket(nil, tls.ConnectionState{}); err != nil {
			return nil, fmt.Errorf("prepare the session ticket keys: %w", err)
		}
	}
	own := c.TLS.Clone()
	// RFC 9001, section 4.2: clients MUST NOT offer TLS versions older than 1.3, and
	// older ones MUST NOT be negotiated.
	own.MinVersion = tls.VersionTLS13
	if own.ClientSessionCache != nil {
		own.ClientSessionCache = sessionCache{own.ClientSessionCache}
	}
	c.TLS = own
	quic := &tls.QUICConfig{TLSConfig: own, EnableSessionEvents: true}
	t := &TLS{config: c, post: postHandshake{side: c.Side}}
	if c.Side == wire.Server {
		t.conn = tls.QUICServer(quic)
	} else {
		t.conn = tls.QUICClient(quic)
	}
	// RFC 9001, section 8.2: endpoints MUST send the transport parameters.
	t.conn.SetTransportParameters(c.Parameters)
	return t, nil
}

// Start begins the handshake: a client's first event is its ClientHello, or the
// session that it resumes. It is called once.
func (t *TLS) Start() error {
	if t.started || t.closed {
		return errors.New("handshake: TLS was started or closed before")
	}
	t.started = true
	if err := t.conn.Start(context.Background()); err != nil {
		return t.fail(err)
	}
	return t.drain()
}

// HandleCrypto takes CRYPTO data of a level, in order, and borrows it. Data of a
// level that TLS does not read yet is kept. The error is a *wire.TransportError;
// after one there is nothing more to do but Close.
func (t *TLS) HandleCrypto(level Level, data []byte) error {
	switch {
	case t.err != nil:
		return t.err
	case !t.started || t.closed:
		return wire.Errorf(wire.InternalError, "TLS takes no data: it was not started, or closed")
	case len(data) == 0:
		return nil
	case level == LevelEarly:
		// RFC 9001, section 8.3: CRYPTO in a 0-RTT packet MUST be a PROTOCOL_VIOLATION.
		return t.end(violation(wire.ProtocolViolation, "CRYPTO data in a 0-RTT packet"))
	case level < t.reading:
		// RFC 9001, section 4.1.3: new data of an earlier level MUST be a
		// PROTOCOL_VIOLATION.
		return t.end(violation(wire.ProtocolViolation, fmt.Sprintf("%s CRYPTO data after the %s level began", level, t.reading)))
	case level > t.reading:
		if len(t.held[level])+len(data) > maxHeld {
			return t.end(violation(wire.CryptoBufferExceeded, fmt.Sprintf("more than %d bytes of %s CRYPTO data ahead of time", maxHeld, level)))
		}
		t.held[level] = append(t.held[level], data...)
		return nil
	}
	for len(data) > 0 {
		if t.reading == LevelOneRTT {
			if err := t.post.take(data); err != nil {
				return t.end(err)
			}
		}
		if err := t.conn.HandleData(tls.QUICEncryptionLevel(t.reading), data); err != nil {
			return t.fail(err)
		}
		if err := t.drain(); err != nil {
			return err
		}
		data, t.held[t.reading] = t.held[t.reading], nil
	}
	return nil
}

// NextEvent returns the oldest event not yet returned. After an error there are none.
func (t *TLS) NextEvent() (Event, bool) { return t.queue.pop() }

// SendTicket makes a server's one session ticket, which comes as an EventCrypto. It
// is called after EventComplete, and allows 0-RTT when Config.Early does.
func (t *TLS) SendTicket() error {
	if t.err != nil {
		return t.err
	}
	o := tls.QUICSessionTicketOptions{EarlyData: t.config.Early, Extra: [][]byte{entry(t.config.TicketData)}}
	if err := t.conn.SendSessionTicket(o); err != nil {
		return fmt.Errorf("send a session ticket: %w", err)
	}
	return t.drain()
}

// ConnectionState returns what TLS knows about the connection.
func (t *TLS) ConnectionState() tls.ConnectionState { return t.conn.ConnectionState() }

// Cause returns crypto/tls's own error behind that of Start or HandleCrypto, for
// errors.As: a *tls.CertificateVerificationError, say. nil: there is none.
func (t *TLS) Cause() error { return t.cause }

// Close ends the handshake when it still runs, and drops the events left. It is
// idempotent.
func (t *TLS) Close() error {
	t.closed = true
	t.queue = eventQueue{}
	// What it returns is the error that ended the handshake, which is known, or that
	// it was cancelled just now.
	_ = t.conn.Close()
	return nil
}

// fail turns an error of crypto/tls into the connection's.
//
// RFC 9001, section 4.8: an alert plus 0x0100 is the error code; any alert MUST be
// treated as fatal.
func (t *TLS) fail(err error) error {
	code := wire.InternalError
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		code = wire.CryptoError + wire.ErrorCode(alert)
	}
	t.cause = err
	return t.end(violation(code, err.Error()))
}

// end makes err the last word.
func (t *TLS) end(err *wire.TransportError) error {
	t.queue = eventQueue{}
	t.held = [levels][]byte{}
	t.err = err
	return err
}

// drain handles all that crypto/tls has to say.
func (t *TLS) drain() error {
	for {
		e := t.conn.NextEvent()
		var err error
		switch e.Kind {
		case tls.QUICNoEvent:
			return nil
		case tls.QUICErrorEvent:
			return t.fail(e.Err)
		case tls.QUICWriteData:
			t.queue.push(Event{Kind: EventCrypto, Level: Level(e.Level), Data: bytes.Clone(e.Data)})
		case tls.QUICSetReadSecret:
			err = t.setReadSecret(Level(e.Level), e.Suite, bytes.Clone(e.Data))
		case tls.QUICSetWriteSecret:
			err = t.setWriteSecret(Level(e.Level), e.Suite, bytes.Clone(e.Data))
		case tls.QUICTransportParameters:
			t.parameters = bytes.Clone(e.Data)
			t.queue.push(Event{Kind: EventParameters, Data: bytes.Clone(e.Data)})
		case tls.QUICRejectedEarlyData:
			t.early = earlyDecided
			t.queue.push(Event{Kind: EventEarlyRejected})
		case tls.QUICResumeSession:
			t.resume(e.SessionState)
		case tls.QUICStoreSession:
			err = t.store(e.SessionState)
		case tls.QUICHandshakeDone:
			err = t.complete()
		}
		if err != nil {
			return t.fail(err)
		}
	}
}

func (t *TLS) setReadSecret(level Level, suiteID uint16, secret []byte) error {
	if level == LevelOneRTT {
		// crypto/tls gives it last of all: 1-RTT packets MUST NOT be processed before the
		// handshake is complete (RFC 9001, section 5.7).
		t.reading = level
		if t.oneRTT == nil {
			return errors.New("TLS gave the 1-RTT keys in the wrong order")
		}
		if err := t.oneRTT.setReadSecret(secret); err != nil {
			return err
		}
		t.queue.push(Event{Kind: EventOneRTTOpen, Level: level, OneRTT: t.oneRTT})
		return nil
	}
	o, err := NewOpener(suiteID, secret)
	if err != nil {
		return err
	}
	t.queue.push(Event{Kind: EventOpener, Level: level, Opener: o})
	if level == LevelEarly {
		// A server has this secret once it has decided; TLS goes on reading Initial.
		t.queue.push(Event{Kind: EventEarlyAccepted})
		return nil
	}
	t.reading = level
	return nil
}

func (t *TLS) setWriteSecret(level Level, suiteID uint16, secret []byte) error {
	if level == LevelOneRTT {
		t.decideEarly()
		o, err := NewOneRTT(suiteID, secret, nil)
		if err != nil {
			return err
		}
		t.oneRTT = o
		t.queue.push(Event{Kind: EventOneRTT, Level: level, OneRTT: o})
		return nil
	}
	s, err := NewSealer(suiteID, secret)
	if err != nil {
		return err
	}
	if level == LevelEarly {
		t.early = earlyOffered
	}
	t.queue.push(Event{Kind: EventSealer, Level: level, Sealer: s})
	return nil
}

// decideEarly tells a client that its 0-RTT was accepted. crypto/tls tells only of a
// rejection, and does so before the 1-RTT keys.
func (t *TLS) decideEarly() {
	if t.early == earlyOffered {
		t.early = earlyDecided
		t.queue.push(Event{Kind: EventEarlyAccepted})
	}
}

// resume settles 0-RTT for the session that a client offers or a server was offered.
func (t *TLS) resume(s *tls.SessionState) {
	data, ok := remembered(s)
	allow := t.config.Early && ok
	if allow && t.config.Side == wire.Server {
		// RFC 9000, section 7.4.1: 0-RTT MUST be rejected when the restored parameters
		// cannot be supported.
		if t.config.AcceptEarly != nil {
			allow = t.config.AcceptEarly(data)
		} else {
			allow = bytes.Equal(data, t.config.TicketData)
		}
	}
	// RFC 9000, section 7.4.1: a client MUST have the server's parameters to attempt
	// 0-RTT.
	s.EarlyData = s.EarlyData && allow
	if ok {
		t.queue.push(Event{Kind: EventResumed, Data: bytes.Clone(data)})
	}
}

// store puts a client's new session into its cache, with the parameters that the
// server has now. Without a cache crypto/tls ignores tickets.
func (t *TLS) store(s *tls.SessionState) error {
	s.Extra = append(s.Extra, entry(t.parameters))
	return t.conn.StoreSession(s)
}

func (t *TLS) complete() error {
	// RFC 9001, section 8.1: a connection without an application protocol MUST be closed
	// with no_application_protocol. crypto/tls lets one pass when GetConfigForClient
	// returns no NextProtos, and between "h2" and "http/1.1".
	if t.conn.ConnectionState().NegotiatedProtocol == "" {
		return fmt.Errorf("no application protocol was negotiated%.0w", alertNoApplicationProtocol)
	}
	t.queue.push(Event{Kind: EventComplete})
	return nil
}
