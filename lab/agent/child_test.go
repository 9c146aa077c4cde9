package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/quicgo"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// conversation is a child in this process, on pipes in memory.
type conversation struct {
	t     *testing.T
	in    *io.PipeWriter
	out   lineReader
	ended chan error
}

func converse(t *testing.T) *conversation {
	t.Helper()
	childIn, in := io.Pipe()
	out, childOut := io.Pipe()
	c := &conversation{t: t, in: in, out: newLineReader(out), ended: make(chan error, 1)}
	go func() {
		c.ended <- Main(context.Background(), Config{In: childIn, Out: childOut, Engines: testEngines()})
	}()
	t.Cleanup(func() {
		in.Close()
		out.Close()
		childIn.Close()
	})
	return c
}

func (c *conversation) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatalf("say %s: %v", line, err)
	}
}

func (c *conversation) hear() reply {
	c.t.Helper()
	line, err := c.out.next()
	if err != nil {
		c.t.Fatalf("hear: %v", err)
	}
	r, err := decodeReply(line)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// drain reads on, as the lab always does, until the test is over.
func (c *conversation) drain() {
	for {
		if _, err := c.out.next(); err != nil {
			return
		}
	}
}

func TestConversation(t *testing.T) {
	tests := []struct {
		name, say, wantError string
	}{
		{"hello", `{"id":3,"op":"hello"}`, ""},
		{"unknown operation", `{"id":3,"op":"dance"}`, `unknown operation "dance"`},
		{"unknown parameter", `{"id":3,"op":"accept","params":{"sesions":1}}`, `unknown field "sesions"`},
		{"no parameters", `{"id":3,"op":"listen"}`, "read the parameters of listen"},
		{"no sessions", `{"id":3,"op":"dial","params":{"engine":"quic-go","sessions":0}}`, "0 sessions"},
		{"bad certificate", `{"id":3,"op":"dial","params":{"engine":"quic-go","certificate":"AAAA","sessions":1}}`, "listener's certificate"},
		{"timed without sessions", `{"id":3,"op":"timed","params":{"side":"dialler"}}`, "there is no session"},
		{"transfer without sessions", `{"id":3,"op":"bulk","params":{"side":"dialler"}}`, "there is no session"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := converse(t)
			c.say(tt.say)
			r := c.hear()
			got := ""
			if r.Error != nil {
				got = r.Error.Text
			}
			if r.ID != 3 || !strings.Contains(got, tt.wantError) || (tt.wantError == "") != (r.Error == nil) {
				t.Errorf("reply %d with error %q, want 3 with %q", r.ID, got, tt.wantError)
			}
			c.say(`{"id":4,"op":"quit"}`)
			if r := c.hear(); r.ID != 4 || r.Error != nil {
				t.Errorf("quit: %+v, want a plain reply to 4", r)
			}
			if err := <-c.ended; err != nil {
				t.Errorf("Main = %v, want nil after quit", err)
			}
		})
	}
}

func TestOneRequestAtATime(t *testing.T) {
	c := converse(t)
	c.say(`{"id":1,"op":"listen","params":{"engine":"quic-go","paths":[{"link":"a","local":"127.0.0.1:0"}]}}`)
	if r := c.hear(); r.Error != nil {
		t.Fatal(r.Error)
	}
	c.say(`{"id":2,"op":"accept","params":{"sessions":1}}`) // waits for ever
	c.say(`{"id":3,"op":"hello"}`)
	if r := c.hear(); r.ID != 3 || r.Error == nil || !strings.Contains(r.Error.Text, "busy") {
		t.Errorf("reply %+v, want 3 to be refused as busy", r)
	}
	c.in.Close() // ends it in the middle of the accept
	go c.drain() // of which it may still want to say that it failed
	if err := <-c.ended; err != nil {
		t.Errorf("Main = %v, want nil after the end of input", err)
	}
}

func TestBrokenInputEndsTheChild(t *testing.T) {
	for name, line := range map[string]string{
		"no JSON":       "GET / HTTP/1.1",
		"no id":         `{"op":"hello"}`,
		"unknown field": `{"id":1,"op":"hello","extra":1}`,
		"two values":    `{"id":1,"op":"hello"}{}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t)
			c.say(line)
			if err := <-c.ended; err == nil || !strings.Contains(err.Error(), "read request") {
				t.Errorf("Main = %v, want an error about the request", err)
			}
		})
	}
	t.Run("endless line", func(t *testing.T) {
		err := Main(t.Context(), Config{In: strings.NewReader(strings.Repeat("a", 2*maxLine)), Out: io.Discard, Engines: engine.Registry{}})
		if err == nil || !strings.Contains(err.Error(), "a line of more than") {
			t.Errorf("Main = %v, want an error about the length", err)
		}
	})
	t.Run("torn line", func(t *testing.T) {
		err := Main(t.Context(), Config{In: strings.NewReader(`{"id":1,`), Out: io.Discard, Engines: engine.Registry{}})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Main = %v, want io.ErrUnexpectedEOF", err)
		}
	})
}

// refusing fails every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestOutputThatFailsEndsTheChild(t *testing.T) {
	in, lab := io.Pipe()
	defer in.Close()
	ended := make(chan error, 1)
	go func() { ended <- Main(t.Context(), Config{In: in, Out: refusing{}, Engines: engine.Registry{}}) }()
	if _, err := io.WriteString(lab, `{"id":1,"op":"hello"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("Main = %v, want it to end with the write's error", err)
	}
}

// Two children move data over loopback, from the listener to the dialler.
func TestBulkBetweenTwoChildren(t *testing.T) {
	for _, name := range []string{"quic-go", "quic-go-bond"} {
		t.Run(name, func(t *testing.T) {
			listener, dialler := startChild(t, "agent"), startChild(t, "agent")
			const size, sessions = 3<<20 + 1, 2
			paths := []engine.Path{{Link: "lo", Local: netip.MustParseAddrPort("127.0.0.1:0")}}
			l, err := listener.Listen(t.Context(), Listen{Engine: name, Paths: paths})
			if err != nil {
				t.Fatal(err)
			}
			accepted := make(chan error, 1)
			go func() { accepted <- listener.Accept(t.Context(), sessions) }()
			paths[0].Remote = l.Paths[0].Local
			err = dialler.Dial(t.Context(), Dial{Engine: name, Paths: paths, Certificate: l.Certificate, Sessions: sessions})
			if err := errors.Join(err, <-accepted); err != nil {
				t.Fatal(err)
			}
			type outcome struct {
				Transfer
				err error
			}
			sent := make(chan outcome, 1)
			go func() {
				got, err := listener.Bulk(t.Context(), Bulk{Side: Listener}, nil)
				sent <- outcome{got, err}
			}()
			b := Bulk{Side: Dialler, Role: workload.Receive, Seed: 5, Bytes: size, Streams: 2}
			received, err := dialler.Bulk(t.Context(), b, nil)
			s := <-sent
			if err := errors.Join(err, s.err); err != nil {
				t.Fatal(err)
			}
			if !received.Report.Intact || !s.Report.Intact || received.Report.Bytes != size || s.Report.Bytes != size {
				t.Errorf("received %d, sent %d, intact %v and %v; want %d on both sides, intact",
					received.Report.Bytes, s.Report.Bytes, received.Report.Intact, s.Report.Intact, size)
			}
			if len(s.Stats) != sessions || len(s.Report.Streams) != 2*sessions {
				t.Errorf("%d sessions with %d streams, want %d with %d", len(s.Stats), len(s.Report.Streams), sessions, 2*sessions)
			}
			for side, u := range map[string]Usage{"sender": s.Usage, "receiver": received.Usage} {
				if u.CPU <= 0 || u.Mallocs == 0 || u.AllocBytes == 0 || u.PeakRSS < 1<<20 {
					t.Errorf("%s used %+v, want CPU time, allocations and memory", side, u)
				}
			}
		})
	}
}

// A dialler must not trust a certificate that is another listener's.
func TestDiallerTrustsOneCertificate(t *testing.T) {
	listener, dialler := startChild(t, "agent"), startChild(t, "agent")
	paths := []engine.Path{{Link: "lo", Local: netip.MustParseAddrPort("127.0.0.1:0")}}
	l, err := listener.Listen(t.Context(), Listen{Engine: "quic-go", Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	other, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	paths[0].Remote = l.Paths[0].Local
	err = dialler.Dial(t.Context(), Dial{Engine: "quic-go", Paths: paths, Certificate: other.Certificate[0], Sessions: 1})
	wantError(t, err, "dial session 1 of 1", "certificate")
}

func TestProgressComesWhileDataFlows(t *testing.T) {
	listener, dialler := startChild(t, "agent"), startChild(t, "agent")
	paths := []engine.Path{{Link: "lo", Local: netip.MustParseAddrPort("127.0.0.1:0")}}
	l, err := listener.Listen(t.Context(), Listen{Engine: "quic-go", Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { accepted <- listener.Accept(t.Context(), 1) }()
	paths[0].Remote = l.Paths[0].Local
	err = dialler.Dial(t.Context(), Dial{Engine: "quic-go", Paths: paths, Certificate: l.Certificate, Sessions: 1})
	if err := errors.Join(err, <-accepted); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		_, err := listener.Bulk(t.Context(), Bulk{Side: Listener}, nil)
		served <- err
	}()
	var seen []Progress
	b := Bulk{Side: Dialler, Role: workload.Send, Seed: 1, Duration: 600 * time.Millisecond, Streams: 1}
	got, err := dialler.Bulk(t.Context(), b, func(p Progress) { seen = append(seen, p) })
	if err := errors.Join(err, <-served); err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 {
		t.Fatal("no progress")
	}
	for i, p := range seen {
		if p.Bytes > got.Report.Bytes || i > 0 && (p.Bytes < seen[i-1].Bytes || p.At <= seen[i-1].At) {
			t.Errorf("progress %v: it must grow and stay within the %d bytes sent", seen, got.Report.Bytes)
			break
		}
		if len(p.Paths) != 1 || p.Paths[0].Link != "lo" || p.Paths[0].SentPackets == 0 || i > 0 && p.Paths[0].SentPackets < seen[i-1].Paths[0].SentPackets {
			t.Errorf("progress %d says of the paths %+v, want packets of lo that grow", i, p.Paths)
			break
		}
	}
}

func TestPerLink(t *testing.T) {
	got := PerLink([]engine.Stats{
		{Paths: []engine.PathStats{
			{Link: "lte", SRTT: 10, CongestionWindow: 1, BytesInFlight: 2, SentPackets: 3, ReceivedPackets: 4, LostPackets: 5, ReinjectedBytes: 6, Picks: 7},
			{Link: "wifi"},
		}},
		{Paths: []engine.PathStats{
			{Link: "dsl", Dead: true},
			{Link: "lte", CongestionWindow: 10, BytesInFlight: 20, SentPackets: 30, ReceivedPackets: 40, LostPackets: 50, ReinjectedBytes: 60, Picks: 70},
		}},
		{Paths: []engine.PathStats{{Link: "lte", SRTT: 30}, {Link: "dsl"}}},
	})
	want := []engine.PathStats{
		{Link: "lte", SRTT: 20, CongestionWindow: 11, BytesInFlight: 22, SentPackets: 33, ReceivedPackets: 44, LostPackets: 55, ReinjectedBytes: 66, Picks: 77},
		{Link: "wifi"},
		{Link: "dsl", Dead: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReplyThatIsTooLongBecomesAnError(t *testing.T) {
	body, err := json.Marshal(strings.Repeat("x", maxLine))
	if err != nil {
		t.Fatal(err)
	}
	line := encodeReply(reply{ID: 9, Result: body})
	r, err := decodeReply(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil || r.ID != 9 || r.Error == nil || len(line) > maxLine {
		t.Errorf("reply %+v, %v in %d bytes; want a short error for 9", r, err, len(line))
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	for _, piece := range []int{1, 7, tailSize - 1, tailSize, tailSize + 1, 3 * tailSize} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			var all []byte
			for i := range 3 * tailSize {
				all = append(all, 'a'+byte(i%26))
			}
			var tl tail
			for rest := all; len(rest) > 0; {
				n := min(piece, len(rest))
				tl.write(rest[:n])
				rest = rest[n:]
			}
			if got, want := tl.String(), "..."+string(all[len(all)-tailSize:]); got != want {
				t.Errorf("tail is %d bytes ending %q, want %d ending %q", len(got), got[len(got)-10:], len(want), want[len(want)-10:])
			}
		})
	}
}

// testEngines is what the children of the tests can run.
func testEngines() engine.Registry {
	return engine.NewRegistry(quicgo.New(), quicgo.NewBond())
}

// lingers is an engine of which something is left for ever.
type lingers struct {
	engine.Engine
	bound chan time.Duration
}

func (l lingers) Linger(ctx context.Context) error {
	until, _ := ctx.Deadline()
	l.bound <- time.Until(until)
	<-ctx.Done()
	return context.Cause(ctx)
}

// A child waits for what its closed sessions leave, but not for ever: Main gives it a bound,
// which is no error to reach.
func TestChildLingers(t *testing.T) {
	l := lingers{quicgo.New(), make(chan time.Duration, 1)}
	c := &child{used: l}
	c.close()
	if d := <-l.bound; d <= 0 || d >= cleanupBound {
		t.Errorf("it waits for %v, want less than %v", d, cleanupBound)
	}
}
