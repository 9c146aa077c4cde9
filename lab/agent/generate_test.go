package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// program is a session that makes its own traffic, and notes what it was asked for.
type program struct {
	engine.Session
	asked engine.Transfer
	done  engine.Generated
	err   error
}

func (p *program) Generate(_ context.Context, t engine.Transfer) (engine.Generated, error) {
	p.asked = t
	return p.done, p.err
}

func (*program) Stats() engine.Stats { return engine.Stats{Congestion: "reno"} }

func TestBulkOverAProgram(t *testing.T) {
	p := &program{done: engine.Generated{Bytes: 77, StartNS: 10, LastNS: 20, CPU: time.Hour, PeakRSS: 1 << 50}}
	c := &child{sessions: []engine.Session{p}, out: discarding(t)}
	got, err := c.bulk(t.Context(), 1, Bulk{Side: Dialler, Role: workload.Send, Bytes: 70, Streams: 3})
	if err != nil {
		t.Fatal(err)
	}
	if want := (engine.Transfer{Sends: true, Bytes: 70, Streams: 3}); p.asked != want {
		t.Errorf("asked for %+v, want %+v", p.asked, want)
	}
	if r := got.Report; r.Bytes != 77 || !r.Intact || !r.Unchecked || r.StartNS != 10 || r.LastNS != 20 || r.Role != workload.Send {
		t.Errorf("report %+v", r)
	}
	if got.Usage.CPU < time.Hour || got.Usage.PeakRSS != 1<<50 || got.Stats[0].Congestion != "reno" {
		t.Errorf("usage %+v, statistics %+v: want the program's", got.Usage, got.Stats)
	}
}

func TestBulkOverAProgramThatFails(t *testing.T) {
	p := &program{err: errors.New("no route")}
	c := &child{sessions: []engine.Session{p}, out: discarding(t)}
	got, err := c.bulk(t.Context(), 1, Bulk{Side: Listener, Role: workload.Receive})
	if err != nil || got.Report.Error != "no route" || got.Report.Intact {
		t.Errorf("got %+v, %v; want the reason in the report", got.Report, err)
	}
	c.sessions = append(c.sessions, p)
	if _, err := c.bulk(t.Context(), 1, Bulk{Side: Listener}); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "2 sessions") {
		t.Errorf("two sessions: %v, want them refused", err)
	}
}

// discarding returns a writer of lines that nobody reads.
func discarding(t *testing.T) *lineWriter {
	w := newLineWriter(io.Discard, func(error) {})
	t.Cleanup(w.close)
	return w
}
