package workload

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Kind is what goes by the clock.
type Kind uint8

// The kinds. Their numbers are on the wire.
const (
	// RPC is requests at a rate, each with its answer. The receiver of the data asks, the
	// sender answers.
	RPC Kind = 1
	// CBR is frames at a rate, from the sender to the receiver, with a deadline.
	CBR Kind = 2
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case RPC:
		return "rpc"
	case CBR:
		return "cbr"
	}
	return "unknown kind"
}

// Paced is messages that are due by the clock, whether or not the ones before got
// through: an open loop. Message i is due at i/Count of Duration. Its latency counts
// from then, not from when it could be written, so that a transport that stands still
// makes every message late that was due meanwhile (no coordinated omission).
//
// Message i travels on stream i modulo all streams, in order. One stream is one queue,
// as a video in a byte stream or calls on one connection are; with more, a lost packet
// holds up the messages of its own stream only. There is no stream a message: over TCP
// that would measure connection set-ups, which Handshake does.
type Paced struct {
	Kind Kind
	Seed uint64
	// Count is how many messages there are over all streams of all sessions.
	Count    int64
	Duration time.Duration
	// Size is of a frame or a request, Response of an answer, bytes on the stream with
	// their headers. Response is 0 for CBR.
	Size, Response int
	// Deadline is how old a frame may be when it is there whole. CBR only.
	Deadline time.Duration
	// Drain is how long after Duration the last messages may come. What is not there by
	// then is lost.
	Drain   time.Duration
	Streams int // per session, at least 1
}

// Bounds of Paced.
const (
	// MinMessage is the size of a message's header.
	MinMessage = messageHeader
	MaxMessage = 16 << 20
	maxCount   = 1 << 40
	maxPaced   = 1000 * time.Hour
	// maxSessions bounds what a request may ask for.
	maxSessions = 4096
)

// Validate returns every reason why p is no exchange, joined, or nil.
func (p Paced) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(p.Kind.String()+": "+format, args...))
		}
	}
	bad(p.Kind != RPC && p.Kind != CBR, "it is %d", p.Kind)
	bad(p.Count < 1 || p.Count > maxCount, "%d messages are not from 1 to %d", p.Count, int64(maxCount))
	bad(p.Duration <= 0 || p.Duration > maxPaced, "a duration of %v", p.Duration)
	bad(p.Drain < 0 || p.Drain > maxPaced, "%v to wait for the last messages", p.Drain)
	bad(p.Size < MinMessage || p.Size > MaxMessage, "messages of %d bytes: they have %d to %d", p.Size, MinMessage, MaxMessage)
	bad(p.Streams < 1 || p.Streams > maxStreams, "%d streams per session: 1 to %d", p.Streams, maxStreams)
	if p.Kind == CBR {
		bad(p.Deadline <= 0 || p.Deadline > maxPaced, "a deadline of %v", p.Deadline)
		bad(p.Response != 0, "frames have no answer: %d bytes", p.Response)
	} else {
		bad(p.Response < MinMessage || p.Response > MaxMessage, "answers of %d bytes: they have %d to %d", p.Response, MinMessage, MaxMessage)
		bad(p.Deadline != 0, "requests have no deadline: %v", p.Deadline)
	}
	return errors.Join(errs...)
}

// due returns when message i is due after the start, in nanoseconds.
func (p Paced) due(i int64) int64 {
	hi, lo := bits.Mul64(uint64(i), uint64(p.Duration))
	q, _ := bits.Div64(hi, lo, uint64(p.Count)) // i < Count, so it fits
	return int64(q)
}

// on returns how many messages travel on stream number k of all.
func (p Paced) on(k, all int64) int64 { return max(0, (p.Count-k+all-1)/all) }

// bytes is the size of what carries the data: frames, or answers.
func (p Paced) bytes() int {
	if p.Kind == CBR {
		return p.Size
	}
	return p.Response
}

// PacedReport is what the receiver knows beside the bytes.
type PacedReport struct {
	Kind      Kind  `json:"kind"`
	Messages  int64 `json:"messages"`  // that were due
	Delivered int64 `json:"delivered"` // came whole; frames, or answers
	Late      int64 `json:"late"`      // of Delivered: after the deadline
	// MaxGap is the longest time between two deliveries, from the start to the last
	// message, or to the end where one is missing.
	MaxGap time.Duration `json:"max_gap_ns"`
	// Latency counts from when a message was due: to the frame's last byte, or to the
	// answer's. Requests without an answer are in it with the time that they had waited
	// when nobody waited longer; frames that never came are not.
	Latency Latency `json:"latency"`
}

// Lost returns how many messages never came.
func (r PacedReport) Lost() int64 { return r.Messages - r.Delivered }
