package workload

import (
	"sync/atomic"
	"time"
)

// Progress counts while a transfer runs. The zero value is ready; any goroutine
// may read it at any time.
type Progress struct {
	bytes atomic.Int64
}

// Bytes returns the payload bytes moved so far on this side: written to the
// streams by the sender, read from them by the receiver.
func (p *Progress) Bytes() int64 { return p.bytes.Load() }

// Report is what one side knows when a transfer is over. Times are CLOCK_MONOTONIC
// in nanoseconds, comparable between the processes of one machine; zero means never.
type Report struct {
	Role    Role           `json:"role"`
	Bytes   int64          `json:"bytes"` // payload, over all streams
	Streams []StreamReport `json:"streams"`
	// Intact says that every byte of every stream arrived as it was sent. The
	// receiver saw it; the sender was told.
	Intact bool `json:"intact"`
	// Unchecked says that nobody looked at the bytes, since the transport made them itself:
	// Intact says only that it came to its end.
	Unchecked bool `json:"unchecked,omitempty"`
	// Reason says why not, for the first stream that was not intact.
	Reason string `json:"reason,omitempty"`

	StartNS int64 `json:"start_ns"` // sender: before the first write; receiver: ready to read
	FirstNS int64 `json:"first_ns"` // first bytes written or read
	LastNS  int64 `json:"last_ns"`  // last bytes written or read
	// MaxGap is the longest time without a byte on any stream, from Start on. The
	// receiver measures it.
	MaxGap time.Duration `json:"max_gap_ns"`
	// Gaps are the longest of them, MaxGaps at most and none below MinGap, in order of
	// time. One that no byte ended is in neither.
	Gaps []Gap `json:"gaps,omitempty"`
	// Paced is what the receiver of a paced exchange knows more, Handshake what the
	// dialler of handshakes does.
	Paced     *PacedReport     `json:"paced,omitempty"`
	Handshake *HandshakeReport `json:"handshake,omitempty"`
	// Error is the text of the error that ended the transfer early.
	Error string `json:"error,omitempty"`
}

// StreamReport is one stream's part.
type StreamReport struct {
	Session int   `json:"session"`
	Stream  int   `json:"stream"`
	Bytes   int64 `json:"bytes"`
	// Delivered is what the receiver says that it read, known to the sender.
	Delivered int64  `json:"delivered"`
	Intact    bool   `json:"intact"`
	Reason    string `json:"reason,omitempty"`
}

// meter takes the times of one transfer over all its streams.
type meter struct {
	now      func() int64
	progress *Progress
	start    atomic.Int64
	first    atomic.Int64
	last     atomic.Int64
	gap      atomic.Int64
	gaps     gaps
}

// begin marks the start, unless another stream did, and returns the time.
func (m *meter) begin() int64 {
	now := m.now()
	if m.start.CompareAndSwap(0, now) {
		m.advance(now)
	}
	return now
}

// advance makes now the time of the last bytes, unless another stream had some later,
// and returns what it was before.
func (m *meter) advance(now int64) (before int64) {
	for {
		before = m.last.Load()
		if before >= now || m.last.CompareAndSwap(before, now) {
			return before
		}
	}
}

// moved counts n bytes that were read or written just now.
func (m *meter) moved(n int) {
	now := m.now()
	m.progress.bytes.Add(int64(n))
	m.first.CompareAndSwap(0, now)
	start, before := m.start.Load(), m.advance(now)
	if start == 0 { // gaps count from the start on
		return
	}
	from := max(before, start)
	gap := now - from
	m.gaps.add(Gap{At: time.Duration(from - start), For: time.Duration(gap)})
	for {
		old := m.gap.Load()
		if gap <= old || m.gap.CompareAndSwap(old, gap) {
			return
		}
	}
}

// report sums up. The streams' reports are in session and stream order.
func (m *meter) report(role Role, streams []StreamReport, err error) Report {
	r := Report{Role: role, Streams: streams, Intact: len(streams) > 0, StartNS: m.start.Load(), FirstNS: m.first.Load()}
	for _, s := range streams {
		r.Bytes += s.Bytes
		if !s.Intact && r.Intact {
			r.Intact, r.Reason = false, s.Reason
		}
	}
	if r.FirstNS != 0 {
		r.LastNS = m.last.Load()
	}
	if role == Receive {
		r.MaxGap, r.Gaps = time.Duration(m.gap.Load()), m.gaps.inOrder()
	}
	if err != nil {
		r.Intact = false
		r.Error = err.Error()
		if r.Reason == "" {
			r.Reason = r.Error
		}
	}
	return r
}
