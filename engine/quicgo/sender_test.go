package quicgo

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// story is a sender with its lanes, its peer's receiver and a clock of its own.
type story struct {
	t     interface{ Fatalf(string, ...any) }
	now   time.Time
	tx    *sender
	lanes []*laneSender
	wire  [][]*chunk // frames on the way, per lane
	rx    *reassembler
	count []uint64 // frames that each lane brought
	sent  []byte   // the stream so far
	read  []byte   // what the reader got
}

func newStory(t interface{ Fatalf(string, ...any) }, window int64, guesses ...time.Duration) *story {
	pool := &chunkPool{}
	s := &story{t: t, now: time.Unix(1000, 0), tx: newSender(window, pool), rx: newReassembler(window, pool)}
	for i, g := range guesses {
		s.lanes = append(s.lanes, s.tx.addLane(laneID(i), g, s.now))
	}
	s.wire = make([][]*chunk, len(guesses))
	s.count = make([]uint64, len(guesses))
	return s
}

func (s *story) advance(d time.Duration) { s.now = s.now.Add(d) }

// write adds n bytes that say where they are.
func (s *story) write(n int) {
	all := numbered(len(s.sent) + n)
	took := s.tx.write(all[len(s.sent):])
	s.sent = all[:len(s.sent)+took]
}

// take lets lane i take a chunk, and reports whether there was one.
func (s *story) take(i int) bool {
	c, _ := s.tx.take(s.lanes[i], s.now)
	if c == nil {
		return false
	}
	// The lane copies what it sends: a copy stands for it.
	buf := *c.buf
	sent := &chunk{offset: c.offset, n: c.n, fin: c.fin, buf: &buf}
	s.tx.written(c)
	s.wire[i] = append(s.wire[i], sent)
	return true
}

// deliver brings the first frame on lane i to the receiver.
func (s *story) deliver(i int) {
	c := s.wire[i][0]
	s.wire[i] = s.wire[i][1:]
	h, err := parseHeader(c.buf[:frameHeader])
	if err != nil || h.offset != c.offset || h.length != c.n {
		s.t.Fatalf("frame on the wire: %+v, %v", h, err)
	}
	if _, err := s.rx.insert(piece{offset: h.offset, data: slices.Clone(c.frame()[frameHeader:])}, h.fin); err != nil {
		s.t.Fatalf("the receiver refuses: %v", err)
	}
	s.count[i]++
}

// ack brings the receiver's state to the sender.
func (s *story) ack() {
	a := ack{next: s.rx.next, limit: s.rx.limit()}
	for i, n := range s.count {
		a.lanes = append(a.lanes, laneCount{laneID(i), n})
	}
	if _, err := s.tx.acked(&a, s.now); err != nil {
		s.t.Fatalf("ack: %v", err)
	}
}

// drain reads what is in order.
func (s *story) drain() {
	buf := make([]byte, 1<<20)
	for {
		n := s.rx.copyOut(buf)
		if n == 0 {
			return
		}
		s.read = append(s.read, buf[:n]...)
	}
}

func (s *story) wantTake(why string, i int, want bool) {
	if got := s.take(i); got != want {
		s.t.Fatalf("%s: lane %d takes a chunk: %t, want %t", why, i, got, want)
	}
}

const ms = time.Millisecond

func TestSenderKeepsToTheWindow(t *testing.T) {
	s := newStory(t, 2*chunkSize, 10*ms)
	s.write(3 * chunkSize)
	s.wantTake("within the window", 0, true)
	s.wantTake("to its end", 0, true)
	s.wantTake("past it", 0, false)
	s.deliver(0)
	s.ack()
	s.wantTake("delivered, but nobody has read", 0, false)
	s.drain()
	s.ack()
	s.wantTake("read and announced", 0, true)
}

func TestSenderOvertakesASlowLane(t *testing.T) {
	s := newStory(t, bondWindow, 500*ms, 20*ms)
	s.write(chunkSize)
	s.tx.finish()
	s.wantTake("the slow lane comes first", 0, true)
	s.wantTake("the fast lane has nothing else to do", 1, true)
	if got := s.lanes[1].reinjected; got != chunkSize {
		t.Errorf("re-injected bytes: got %d, want %d", got, chunkSize)
	}
	s.wantTake("one copy more is the most", 1, false)
	s.deliver(1)
	s.ack()
	if !s.tx.finished() {
		t.Error("not finished although one copy arrived")
	}
	s.deliver(0) // the late copy
	s.ack()
	if s.rx.duplicates != chunkSize {
		t.Errorf("duplicate bytes: got %d, want %d", s.rx.duplicates, chunkSize)
	}
}

func TestSenderDoesNotRepeatForASlowerLane(t *testing.T) {
	s := newStory(t, bondWindow, 20*ms, 500*ms)
	s.write(chunkSize)
	s.wantTake("the fast lane", 0, true)
	c, wait := s.tx.take(s.lanes[1], s.now)
	if c != nil || wait != 30*ms {
		t.Fatalf("the slow lane: got %v and a wait of %v, want none and 30 ms", c, wait)
	}
	s.advance(30 * ms)
	s.wantTake("the chunk is late", 1, true)
}

func TestSenderMovesADeadLanesChunks(t *testing.T) {
	s := newStory(t, bondWindow, 10*ms, 10*ms)
	s.write(4 * chunkSize)
	s.wantTake("first", 0, true)
	s.wantTake("second", 1, true)
	s.wantTake("third", 0, true)
	s.tx.fail(s.lanes[0])
	s.wantTake("a dead lane", 0, false)
	s.wantTake("what the dead lane left", 1, true)
	if got := s.wire[1][1].offset; got != 0 {
		t.Errorf("the oldest lost chunk goes first: got offset %d", got)
	}
	s.wantTake("the next of it", 1, true)
	s.wantTake("then new data", 1, true)
	for range 4 {
		s.deliver(1)
	}
	s.drain()
	if len(s.read) != 4*chunkSize {
		t.Errorf("the reader has %d bytes, want %d", len(s.read), 4*chunkSize)
	}
}

func TestSenderMovesASilentLanesChunks(t *testing.T) {
	s := newStory(t, bondWindow, 10*ms, 10*ms)
	s.write(maxUnsent)
	s.wantTake("the lane that will be silent", 0, true)
	for range 4 {
		s.advance(minPatience / 4)
		s.wantTake("the other lane", 1, true)
		s.deliver(1)
		s.ack()
	}
	if s.lanes[0].stalled {
		t.Fatal("stalled before anybody looked")
	}
	s.advance(ms)
	s.wantTake("the silent lane's chunk", 1, true)
	if !s.lanes[0].stalled || s.wire[1][0].offset != 0 {
		t.Fatalf("stalled: %t, the chunk taken begins at %d", s.lanes[0].stalled, s.wire[1][0].offset)
	}
	s.wantTake("a stalled lane gets nothing", 0, false)
	s.deliver(0)
	s.ack()
	if s.lanes[0].stalled {
		t.Error("a lane that delivers is still stalled")
	}
	s.wantTake("it is as good as before", 0, true)
}

func TestSenderIsNotFooled(t *testing.T) {
	tests := map[string]ack{
		"bytes never written":     {next: 1 << 30, limit: 1 << 31},
		"frames never sent":       {limit: 1 << 20, lanes: []laneCount{{0, 2}}},
		"a lane that is not":      {limit: 1 << 20, lanes: []laneCount{{9, 1}}},
		"bytes without frames":    {next: 10, limit: 1 << 20},
		"a window before offset":  {next: 10, limit: 5, lanes: []laneCount{{0, 1}}},
		"one lane twice, once so": {limit: 1 << 20, lanes: []laneCount{{0, 1}, {0, 3}}},
	}
	for name, a := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, bondWindow, 10*ms)
			s.write(10)
			s.take(0)
			if _, err := s.tx.acked(&a, s.now); err == nil {
				t.Error("took it")
			}
		})
	}
}

// TestSenderDeliversWhateverHappens lets lanes take, deliver, stall and die in any
// order, as long as one lives: in the end the reader has the stream.
func TestSenderDeliversWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.IntRange(1, 4).Draw(t, "lanes")
		guesses := make([]time.Duration, lanes)
		for i := range guesses {
			guesses[i] = time.Duration(rapid.IntRange(1, 400).Draw(t, "guess")) * ms
		}
		s := newStory(t, int64(rapid.IntRange(1, 40).Draw(t, "window"))*chunkSize, guesses...)
		alive := lanes
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			i := rapid.IntRange(0, lanes-1).Draw(t, "lane")
			s.advance(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * ms)
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				s.write(rapid.IntRange(1, 3*chunkSize).Draw(t, "bytes"))
			case 1, 2:
				s.take(i)
			case 3:
				if len(s.wire[i]) > 0 && !s.lanes[i].dead {
					s.deliver(i)
				}
			case 4:
				s.ack()
			case 5:
				s.drain()
			case 6:
				if alive > 1 && !s.lanes[i].dead && rapid.IntRange(0, 9).Draw(t, "dies") == 0 {
					alive--
					s.tx.fail(s.lanes[i])
					s.wire[i] = nil
				}
			}
		}
		s.tx.finish()
		for range 10_000 {
			if s.tx.finished() {
				break
			}
			s.advance(100 * ms)
			for i := range s.lanes {
				s.take(i)
				if len(s.wire[i]) > 0 {
					s.deliver(i)
				}
			}
			s.drain()
			s.ack()
		}
		if !s.tx.finished() || !s.rx.drained() || string(s.read) != string(s.sent) {
			t.Fatalf("finished %t, drained %t, %d bytes of %d", s.tx.finished(), s.rx.drained(), len(s.read), len(s.sent))
		}
		if s.tx.lost != 0 || s.tx.unsent != 0 {
			t.Fatalf("left over: %d lost chunks, %d unsent bytes", s.tx.lost, s.tx.unsent)
		}
	})
}
