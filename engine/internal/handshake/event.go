package handshake

// EventKind is what an Event says.
type EventKind uint8

// The events, with the fields of Event that each has beside Kind.
const (
	// EventCrypto: Data is to be sent in CRYPTO frames of Level.
	EventCrypto EventKind = iota + 1
	// EventSealer: Sealer protects packets of Level, LevelEarly or LevelHandshake.
	EventSealer
	// EventOpener: Opener opens packets of Level, LevelEarly or LevelHandshake.
	EventOpener
	// EventOneRTT: OneRTT seals from now on. It opens once OneRTT.CanOpen is true.
	EventOneRTT
	// EventOneRTTOpen: OneRTT opens from now on. It comes after EventComplete.
	EventOneRTTOpen
	// EventParameters: Data is the peer's transport parameters, encoded. They are
	// authenticated when EventComplete comes.
	EventParameters
	// EventResumed: a session is being resumed. On a client Data is what the server's
	// transport parameters were then, whole: RFC 9000, section 7.4.1, says which of
	// them not to use. On a server Data is the TicketData of that time.
	EventResumed
	// EventEarlyAccepted: the server takes 0-RTT.
	EventEarlyAccepted
	// EventEarlyRejected, on a client: the server did not take the 0-RTT that was
	// offered.
	EventEarlyRejected
	// EventComplete: the TLS handshake is complete (RFC 9001, section 4.1.1).
	EventComplete
)

// String returns the kind's name in lower case.
func (k EventKind) String() string {
	names := [...]string{
		"none", "crypto", "sealer", "opener", "1-rtt", "1-rtt open", "parameters",
		"resumed", "early accepted", "early rejected", "complete",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Event is something that TLS wants done or known. Everything in it is given.
type Event struct {
	Kind   EventKind
	Level  Level
	Data   []byte
	Sealer *Sealer
	Opener *Opener
	OneRTT *OneRTT
}

// eventQueue is a FIFO of events. Its memory is used again once it is empty.
type eventQueue struct {
	events []Event
	next   int
}

func (q *eventQueue) push(e Event) { q.events = append(q.events, e) }

func (q *eventQueue) pop() (Event, bool) {
	if q.next == len(q.events) {
		return Event{}, false
	}
	e := q.events[q.next]
	q.events[q.next] = Event{}
	if q.next++; q.next == len(q.events) {
		q.events, q.next = q.events[:0], 0
	}
	return e, true
}
