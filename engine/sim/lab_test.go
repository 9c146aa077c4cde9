package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// tap is a host that has every datagram written down before it gets it.
type tap struct {
	*Host
	log hash.Hash
}

func (t tap) HandleDatagram(now clock.Time, local, remote netip.AddrPort, ecn wire.ECN, data []byte) {
	fmt.Fprint(t.log, t.side, now, local, remote, ecn, len(data))
	t.log.Write(data)
	t.Host.HandleDatagram(now, local, remote, ecn, data)
}

// conversation runs an echo over a noisy link and returns a hash of all datagrams.
func conversation(t *testing.T, seed uint64) []byte {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	p := &peer{say: bytes.Repeat([]byte("hello "), 20_000)}
	l := newLab(t, LabConfig{Links: []Link{noisy()}, Seed: seed}, p, &echo{})
	log := sha256.New()
	for _, h := range []*Host{l.Client, l.Server} {
		h.node.Attach(tap{h, log})
	}
	p.run(t, l)
	return log.Sum(nil)
}

func TestReplayIsBitForBit(t *testing.T) {
	first, again, other := conversation(t, 1), conversation(t, 1), conversation(t, 2)
	if !bytes.Equal(first, again) {
		t.Error("one seed gave two conversations")
	}
	if bytes.Equal(first, other) {
		t.Error("two seeds gave one conversation")
	}
}

// peer dials, says something on a stream and notes what comes back.
type peer struct {
	say   []byte
	heard bytes.Buffer
	conn  *Conn
	ended bool
	err   error
}

func newLab(t *testing.T, c LabConfig, client, server Application) *Lab {
	t.Helper()
	l, err := NewLab(c, client, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// run dials and goes on until everything came back.
func (p *peer) run(t *testing.T, l *Lab) {
	t.Helper()
	var err error
	if p.conn, err = l.Client.Dial("fast"); err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context(), time.Minute, func() bool { return p.ended || p.err != nil }); err != nil || p.err != nil {
		t.Fatalf("%v, %v", err, p.err)
	}
}

func (p *peer) Connected(c *Conn) {
	s, err := c.OpenStream()
	if err != nil {
		p.err = err
		return
	}
	p.Writable(s)
}

func (p *peer) Writable(s *Stream) {
	for len(p.say) > 0 {
		n, err := s.Write(p.say)
		p.say = p.say[n:]
		if err != nil {
			return
		}
	}
	_ = s.CloseWrite()
}

func (p *peer) Readable(s *Stream) {
	var buf [1000]byte
	for {
		n, err := s.Read(buf[:])
		p.heard.Write(buf[:n])
		switch {
		case errors.Is(err, io.EOF):
			p.ended = true
			return
		case err != nil:
			return
		}
	}
}

func (p *peer) Closed(_ *Conn, err error) { p.err = err }

// echo says everything back.
type echo struct {
	kept   []byte
	closed error
	conns  []*Conn
}

func (e *echo) Connected(c *Conn) { e.conns = append(e.conns, c) }

func (e *echo) Readable(s *Stream) {
	for {
		err := s.Take(func(b []byte) error { e.kept = append(e.kept, b...); return nil })
		if err != nil {
			s.Value = errors.Is(err, io.EOF)
			e.Writable(s)
			return
		}
	}
}

func (e *echo) Writable(s *Stream) {
	n, _ := s.Write(e.kept)
	e.kept = e.kept[n:]
	if ended, _ := s.Value.(bool); ended && len(e.kept) == 0 {
		_ = s.CloseWrite()
	}
}

func (e *echo) Closed(_ *Conn, err error) { e.closed = err }

func TestEcho(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	p, e := &peer{say: want}, &echo{}
	l := newLab(t, LabConfig{Links: []Link{fast()}, Seed: 1}, p, e)
	p.run(t, l)
	if !bytes.Equal(p.heard.Bytes(), want) {
		t.Errorf("%d bytes came back, want the %d that were sent", p.heard.Len(), len(want))
	}
	c, err := l.Counters("fast")
	if err != nil || c.Up.DepartedBytes < 1e6 || c.Down.DepartedBytes < 1e6 {
		t.Errorf("the link carried %+v, %v; want a million bytes each way", c, err)
	}
	m := p.conn.Metrics()
	if m.SRTT < 20*time.Millisecond || m.MinRTT < 20*time.Millisecond || m.CongestionWindow < 10_000 || m.MTU != 1472 {
		t.Errorf("metrics %+v: want an RTT of 20 ms or more, some window and the link's MTU", m)
	}
	if p.conn.Link() != "fast" || e.conns[0].Link() != "fast" {
		t.Errorf("links %q and %q, want fast", p.conn.Link(), e.conns[0].Link())
	}
}

func TestCloseReachesThePeer(t *testing.T) {
	p, e := &peer{say: []byte("x")}, &echo{}
	l := newLab(t, LabConfig{Links: []Link{fast()}, Seed: 1}, p, e)
	p.run(t, l)
	p.conn.Close(7, "enough")
	if err := l.Run(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if e.closed == nil || !strings.Contains(e.closed.Error(), "enough") {
		t.Errorf("the server heard %v, want the reason", e.closed)
	}
	if n := len(l.Client.Conns()) + len(l.Server.Conns()); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if _, err := p.conn.OpenStream(); err == nil {
		t.Error("a closed connection opened a stream")
	}
}

// A packet of no connection is answered by a stateless reset (RFC 9000, section
// 10.3), which the endpoint sends, no connection. The other endpoint knows it no
// better; each reset is smaller, so the exchange ends (section 10.3.3).
func TestEndpointAnswersStrangers(t *testing.T) {
	l := newLab(t, LabConfig{Links: []Link{fast()}, Seed: 1}, &peer{}, &echo{})
	stray := bytes.Repeat([]byte{0x4a}, 60)
	l.network.Send(l.network.Now(), netip.AddrPortFrom(fast().Client, port), netip.AddrPortFrom(fast().Server, port), wire.NotECT, stray)
	if err := l.Run(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	c, err := l.Counters("fast")
	if err != nil || c.Down.DepartedPackets == 0 || c.Down.DepartedPackets > 30 {
		t.Errorf("%d packets answered a stray one, %v; want some, and an end", c.Down.DepartedPackets, err)
	}
}

func TestWhatHappensWhen(t *testing.T) {
	l := newLab(t, LabConfig{Links: []Link{fast()}, Seed: 1}, &peer{}, &echo{})
	var at []time.Duration
	note := func() { at = append(at, l.Elapsed()) }
	l.At(2*time.Second, note)
	l.At(time.Second, func() {
		note()
		slower := fast().Up
		slower.Rate = 1e6
		if err := l.Set("fast", slower, slower); err != nil {
			t.Error(err)
		}
	})
	if err := l.Run(t.Context(), 3*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(at, want) || l.Elapsed() != 3*time.Second || l.Events() != 2 {
		t.Errorf("calls at %v, now %v after %d events; want %v and 3 s after 2", at, l.Elapsed(), l.Events(), want)
	}
}

// A lab that is closed in the midst of handshakes leaves nothing behind.
func TestCloseEndsHandshakes(t *testing.T) {
	before := runtime.NumGoroutine()
	l, err := NewLab(LabConfig{Links: []Link{fast()}, Seed: 1}, &peer{}, &echo{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := l.Client.Dial("fast"); err != nil {
			t.Fatal(err)
		}
	}
	begun := func() bool { return len(l.Server.Conns()) == 3 }
	if err := l.Run(t.Context(), time.Second, begun); err != nil {
		t.Fatal(err)
	}
	if !begun() || runtime.NumGoroutine() <= before {
		t.Fatal("no handshake is under way: the test shows nothing")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	noGoroutines(t, before)
}

func TestWrongNamesAreErrors(t *testing.T) {
	l := newLab(t, LabConfig{Links: []Link{fast()}, Seed: 1}, &peer{}, &echo{})
	_, dial := l.Client.Dial("slow")
	_, server := l.Server.Dial("fast")
	_, none := l.Client.Dial()
	_, twice := l.Client.Dial("fast", "fast")
	_, counters := l.Counters("slow")
	set := l.Set("slow", emulation.Impairments{}, emulation.Impairments{})
	for name, err := range map[string]error{"dial": dial, "dial from the server": server, "dial over none": none, "dial over one twice": twice, "counters": counters, "set": set} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewLab(LabConfig{Links: []Link{fast(), fast()}}, &peer{}, &echo{}); err == nil || !strings.Contains(err.Error(), "of that name") {
		t.Errorf("NewLab with one link twice = %v, want an error", err)
	}
}
