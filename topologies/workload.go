package topologies

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// The kinds of workload.
const (
	Bulk      = "bulk"      // as fast as it goes
	RPC       = "rpc"       // requests at a rate, each with its answer
	CBR       = "cbr"       // frames at a bit rate, with a deadline
	Handshake = "handshake" // sessions set up one after the other
)

// Kinds returns the kinds of workload.
func Kinds() []string { return []string{Bulk, RPC, CBR, Handshake} }

// Workload is the traffic of a trial. What a kind has no use for is zero, but Streams
// and Connections are always 1 or more.
type Workload struct {
	Kind     string        `json:"kind"`                  // one of Kinds
	Duration time.Duration `json:"duration_ns,omitempty"` // of the sending; bulk: exactly one of Duration and Bytes is set
	Bytes    int64         `json:"bytes,omitempty"`       // bulk: over all streams and connections
	// PerSecond is how many requests of Size are due a second (rpc), each with an answer of
	// Response. Rate is that of the frames of Size (cbr), each with its Deadline. Both go
	// over all streams and connections.
	PerSecond int            `json:"per_second,omitempty"`
	Rate      emulation.Rate `json:"rate_bps,omitempty"`
	Size      int64          `json:"size_bytes,omitempty"`
	Response  int64          `json:"response_bytes,omitempty"`
	Deadline  time.Duration  `json:"deadline_ns,omitempty"`
	Parallel  int            `json:"parallel,omitempty"` // handshake: sessions at the same time
	Streams   int            `json:"streams"`            // per connection
	// Connections at the same time. Handshake has its own: here both are 1.
	Connections int `json:"connections"`
}

// Bounds and defaults of workloads.
const (
	minMessage  = 32 // a message has a header
	maxMessage  = 16 << 20
	maxPerS     = 1_000_000
	maxParallel = 1024

	defaultPerSecond = 100
	defaultRequest   = 1000
	defaultResponse  = 4000
	defaultFrameRate = emulation.Rate(5e6)
	defaultFrame     = 20_000
	defaultDeadline  = 200 * time.Millisecond
)

// DefaultWorkload is what an experiment runs that says nothing of its workload.
func DefaultWorkload() Workload { return WorkloadOf(defaultKind) }

// WorkloadOf is what an experiment runs that says only the kind of its workload.
func WorkloadOf(kind string) Workload {
	w := Workload{Kind: kind, Duration: defaultDuration, Streams: 1, Connections: 1}
	switch kind {
	case RPC:
		w.PerSecond, w.Size, w.Response = defaultPerSecond, defaultRequest, defaultResponse
	case CBR:
		w.Rate, w.Size, w.Deadline = defaultFrameRate, defaultFrame, defaultDeadline
	case Handshake:
		w.Parallel = 1
	}
	return w
}

// Timed reports whether the workload goes by the clock: what it sends is what was asked
// for, and no measure of what a transport can do.
func (w Workload) Timed() bool { return w.Kind != "" && w.Kind != Bulk }

// Messages returns how many requests or frames are due in all: at least one.
func (w Workload) Messages() int64 {
	perSecond := float64(w.PerSecond)
	if w.Kind == CBR {
		perSecond = float64(w.Rate) / (8 * float64(w.Size))
	}
	return max(1, int64(perSecond*w.Duration.Seconds()*(1+1e-12))) // 100 in 290 ms are 29
}

// Pace is how often something is due: so many times a second, or at a bit rate. One
// of the two is set.
type Pace struct {
	PerSecond int
	Rate      emulation.Rate
}

const perSecond = "/s"

// pacePattern is what a number a second looks like.
const pacePattern = `^[0-9]{1,7}/s$`

// ParsePace reads a whole number a second (100/s), up to a million, or a rate (5mbit).
func ParsePace(text string) (Pace, error) {
	digits, found := strings.CutSuffix(text, perSecond)
	if !found {
		r, err := ParseRate(text)
		if e, ok := err.(*QuantityError); ok {
			e.Expected = "requests a second, such as 100/s, or a bit rate, such as 5mbit"
			return Pace{}, e
		}
		if r == 0 {
			return Pace{}, &QuantityError{Text: quote(text) + " is no pace", Expected: "a rate above 0, such as 100/s or 5mbit"}
		}
		return Pace{Rate: r}, nil
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n < 1 || n > maxPerS || strings.HasPrefix(digits, "+") || len(digits) > 7 {
		return Pace{}, &QuantityError{Text: quote(text) + " is not a number a second", Expected: fmt.Sprintf("1/s to %d/s, in whole numbers", maxPerS)}
	}
	return Pace{PerSecond: int(n)}, nil
}

// FormatPace returns the shortest spelling that ParsePace reads back as p.
func FormatPace(p Pace) string {
	if p.PerSecond != 0 {
		return strconv.Itoa(p.PerSecond) + perSecond
	}
	return FormatRate(p.Rate)
}

func paceSchema() schema {
	return anySchema(textSchema(rateMeasure().pattern()), textSchema(pacePattern))
}

type fileWorkload struct {
	kind                           field[string]
	duration                       field[time.Duration]
	bytes                          field[emulation.ByteCount]
	rate                           field[Pace]
	size, response                 field[emulation.ByteCount]
	deadline                       field[time.Duration]
	parallel, streams, connections field[uint64]
}

func workloadKeys() []key[fileWorkload] {
	return []key[fileWorkload]{
		{
			name: "kind", doc: "bulk sends as fast as it can, rpc asks at a rate, cbr sends frames with a deadline, handshake sets sessions up",
			schema: wordSchema(Kinds()).with("default", defaultKind),
			decode: at(func(w *fileWorkload) *field[string] { return &w.kind }, oneOf("workload", Kinds())),
		},
		{
			name: "duration", doc: "how long to send, ask or dial, 10s unless this or bytes is set",
			schema: timeSchema(),
			decode: at(func(w *fileWorkload) *field[time.Duration] { return &w.duration }, quantity(ParseTime)),
		},
		{
			name: "bytes", doc: "bulk: how much to send over all streams and connections, such as 100MB, in place of a duration",
			schema: sizeSchema(),
			decode: at(func(w *fileWorkload) *field[emulation.ByteCount] { return &w.bytes }, quantity(ParseSize)),
		},
		{
			name: "rate", doc: "rpc: requests a second, 100/s unless set; cbr: bit rate of the frames, 5mbit unless set",
			schema: paceSchema(),
			decode: at(func(w *fileWorkload) *field[Pace] { return &w.rate }, quantity(ParsePace)),
		},
		{
			name: "size", doc: "rpc: bytes of a request, 1KB unless set; cbr: bytes of a frame, 20KB unless set",
			schema: sizeSchema(),
			decode: at(func(w *fileWorkload) *field[emulation.ByteCount] { return &w.size }, quantity(ParseSize)),
		},
		{
			name: "response", doc: "rpc: bytes of an answer, 4KB unless set",
			schema: sizeSchema(),
			decode: at(func(w *fileWorkload) *field[emulation.ByteCount] { return &w.response }, quantity(ParseSize)),
		},
		{
			name: "deadline", doc: "cbr: a frame that is older when it is there whole is late, 200ms unless set",
			schema: timeSchema(),
			decode: at(func(w *fileWorkload) *field[time.Duration] { return &w.deadline }, positiveTime),
		},
		{
			name: "parallel", doc: "handshake: sessions that are set up at the same time, 1 unless set",
			schema: integerSchema(1, maxParallel).with("default", 1),
			decode: at(func(w *fileWorkload) *field[uint64] { return &w.parallel }, integer("a number of sessions", 1, maxParallel)),
		},
		{
			name: "streams", doc: "streams per connection, 1 unless set; requests and frames are dealt out to them in turn",
			schema: integerSchema(1, maxStreams).with("default", 1),
			decode: at(func(w *fileWorkload) *field[uint64] { return &w.streams }, integer("a number of streams", 1, maxStreams)),
		},
		{
			name: "connections", doc: "connections at the same time, 1 unless set",
			schema: integerSchema(1, maxConnections).with("default", 1),
			decode: at(func(w *fileWorkload) *field[uint64] { return &w.connections }, integer("a number of connections", 1, maxConnections)),
		},
	}
}

// keysOf returns the keys that a kind of workload has.
func keysOf(kind string) []string {
	switch kind {
	case RPC:
		return []string{"kind", "duration", "rate", "size", "response", "streams", "connections"}
	case CBR:
		return []string{"kind", "duration", "rate", "size", "deadline", "streams", "connections"}
	case Handshake:
		return []string{"kind", "duration", "parallel"}
	}
	return []string{"kind", "duration", "bytes", "streams", "connections"}
}

// workload resolves a file's workload.
func (d *decoder) workload(f *field[fileWorkload]) Workload {
	w := &f.value
	out := WorkloadOf(w.kind.or(defaultKind))
	d.workloadKeysFit(w, out.Kind)
	out.Streams, out.Connections = int(w.streams.or(1)), int(w.connections.or(1))
	out.Bytes = int64(w.bytes.or(0))
	out.Duration = w.duration.or(0)
	out.Size = int64(w.size.or(emulation.ByteCount(out.Size)))
	out.Response = int64(w.response.or(emulation.ByteCount(out.Response)))
	out.Deadline = w.deadline.or(out.Deadline)
	out.Parallel = int(w.parallel.or(uint64(out.Parallel)))
	switch {
	case w.duration.state != absent && w.bytes.state != absent && out.Kind == Bulk:
		d.problem(w.bytes.place, Problem{Text: "both duration and bytes", Expected: "one of them: a trial ends after a time or after an amount"})
	case w.duration.state == good && out.Duration == 0:
		d.problem(w.duration.place, Problem{Text: "a duration of 0", Expected: "a time above 0, such as 10s"})
	case w.bytes.state == good && out.Bytes == 0 && out.Kind == Bulk:
		d.problem(w.bytes.place, Problem{Text: "0 bytes", Expected: "a size above 0, such as 100MB"})
	case w.duration.state == absent && (w.bytes.state == absent || out.Kind != Bulk):
		out.Duration = defaultDuration
	}
	d.wantPace(w, &out)
	d.wantMessage(w.size, out.Kind)
	d.wantMessage(w.response, out.Kind)
	return out
}

// workloadKeysFit reports keys that the kind has no use for.
func (d *decoder) workloadKeysFit(w *fileWorkload, kind string) {
	if w.kind.state == bad {
		return // nobody knows which it has
	}
	keys := keysOf(kind)
	for _, k := range []struct {
		name  string
		place place
		state state
	}{
		{"bytes", w.bytes.place, w.bytes.state},
		{"rate", w.rate.place, w.rate.state},
		{"size", w.size.place, w.size.state},
		{"response", w.response.place, w.response.state},
		{"deadline", w.deadline.place, w.deadline.state},
		{"parallel", w.parallel.place, w.parallel.state},
		{"streams", w.streams.place, w.streams.state},
		{"connections", w.connections.place, w.connections.state},
	} {
		if k.state == good && !slices.Contains(keys, k.name) {
			d.problem(k.place, Problem{Text: fmt.Sprintf("a workload of kind %s has no %s", kind, k.name), Expected: "one of " + strings.Join(keys, ", ")})
		}
	}
}

// wantPace takes the rate over, which is of another sort for each kind.
func (d *decoder) wantPace(w *fileWorkload, out *Workload) {
	r := w.rate.value
	switch {
	case w.rate.state != good:
	case out.Kind == RPC && r.PerSecond == 0:
		d.problem(w.rate.place, Problem{Text: "a bit rate for requests", Expected: "how many are due a second, such as 100/s"})
	case out.Kind == CBR && r.Rate == 0:
		d.problem(w.rate.place, Problem{Text: "a number a second for frames", Expected: "their bit rate, such as 5mbit"})
	case out.Kind == CBR && w.size.state != bad && float64(r.Rate) > 8*maxPerS*float64(out.Size):
		d.problem(w.rate.place, Problem{Text: fmt.Sprintf("%s in frames of %d bytes", FormatRate(r.Rate), out.Size), Expected: fmt.Sprintf("at most %d frames a second", maxPerS)})
	case out.Kind == RPC || out.Kind == CBR:
		out.PerSecond, out.Rate = r.PerSecond, r.Rate
	}
}

// wantMessage reports a message of a size that none has.
func (d *decoder) wantMessage(f field[emulation.ByteCount], kind string) {
	if f.state == good && (kind == RPC || kind == CBR) && (f.value < minMessage || f.value > maxMessage) {
		d.problem(f.place, Problem{
			Text:     FormatSize(f.value) + " is no size for a message",
			Expected: fmt.Sprintf("%s to %s", FormatSize(minMessage), FormatSize(maxMessage)),
		})
	}
}

// showWorkload returns the workload as a file has it. Keys of other kinds appear when
// they are set: Parse refuses them.
func showWorkload(w Workload) string {
	keys := keysOf(w.Kind)
	s := []string{"kind: " + plain(w.Kind)}
	for _, k := range []struct {
		name string
		set  bool
		text string
	}{
		{"duration", w.Duration != 0 || w.Bytes == 0 || w.Kind != Bulk, FormatTime(w.Duration)},
		{"bytes", w.Bytes != 0, FormatSize(emulation.ByteCount(w.Bytes))},
		{"rate", w.PerSecond != 0 || w.Rate != 0, FormatPace(Pace{w.PerSecond, w.Rate})},
		{"size", w.Size != 0 || slices.Contains(keys, "size"), FormatSize(emulation.ByteCount(w.Size))},
		{"response", w.Response != 0 || slices.Contains(keys, "response"), FormatSize(emulation.ByteCount(w.Response))},
		{"deadline", w.Deadline != 0 || slices.Contains(keys, "deadline"), FormatTime(w.Deadline)},
		{"parallel", w.Parallel != 0 || slices.Contains(keys, "parallel"), strconv.Itoa(w.Parallel)},
		{"streams", w.Streams != 1 || slices.Contains(keys, "streams"), strconv.Itoa(w.Streams)},
		{"connections", w.Connections != 1 || slices.Contains(keys, "connections"), strconv.Itoa(w.Connections)},
	} {
		if k.set {
			s = append(s, k.name+": "+k.text)
		}
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// Text says in words what a workload does: "bulk 10s, 1 stream".
func (w Workload) Text() string {
	size := func(n int64) string { return FormatSize(emulation.ByteCount(n)) }
	s := []string{w.Kind + " " + FormatTime(w.Duration)}
	switch w.Kind {
	case RPC:
		s = append(s, fmt.Sprintf("%d/s of %s for %s", w.PerSecond, size(w.Size), size(w.Response)))
	case CBR:
		s = append(s, fmt.Sprintf("%s in frames of %s, deadline %s", FormatRate(w.Rate), size(w.Size), FormatTime(w.Deadline)))
	case Handshake:
		return fmt.Sprintf("%s, %d at a time", s[0], w.Parallel)
	default:
		if w.Bytes > 0 {
			s[0] = fmt.Sprintf("%s %d bytes", w.Kind, w.Bytes)
		}
	}
	text := strings.Join(append(s, count(w.Streams, "stream")), ", ")
	if w.Connections > 1 {
		text += fmt.Sprintf(" on each of %d connections", w.Connections)
	}
	return text
}
