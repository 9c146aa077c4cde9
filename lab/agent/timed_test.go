package agent

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// connected returns two children with one session over loopback.
func connected(t *testing.T, name string) (dialler, listener *Process) {
	t.Helper()
	listener, dialler = startChild(t, "agent"), startChild(t, "agent")
	paths := []engine.Path{{Link: "lo", Local: netip.MustParseAddrPort("127.0.0.1:0")}}
	l, err := listener.Listen(t.Context(), Listen{Engine: name, Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { accepted <- listener.Accept(t.Context(), 1) }()
	paths[0].Remote = l.Paths[0].Local
	err = dialler.Dial(t.Context(), Dial{Engine: name, Paths: paths, Certificate: l.Certificate, Sessions: 1, Streams: 1})
	if err := errors.Join(err, <-accepted); err != nil {
		t.Fatal(err)
	}
	return dialler, listener
}

// Two children exchange requests, frames and sessions, whoever sends.
func TestTimedBetweenTwoChildren(t *testing.T) {
	rpc := workload.Paced{Kind: workload.RPC, Seed: 1, Count: 50, Duration: 250 * time.Millisecond, Size: 100, Response: 1000, Drain: 5 * time.Second, Streams: 1}
	cbr := workload.Paced{Kind: workload.CBR, Seed: 1, Count: 50, Duration: 250 * time.Millisecond, Size: 1000, Deadline: time.Second, Drain: 5 * time.Second, Streams: 1}
	handshake := workload.Handshake{Seed: 1, Parallel: 2, Duration: 250 * time.Millisecond, Bound: 5 * time.Second}
	for _, name := range []string{"quic-go", "quic-go-bond"} {
		for what, timed := range map[string]Timed{
			"rpc": {Paced: &rpc}, "cbr": {Paced: &cbr}, "handshake": {Handshake: &handshake},
		} {
			for _, role := range []workload.Role{workload.Send, workload.Receive} {
				t.Run(name+" "+what+" "+role.String(), func(t *testing.T) {
					dialler, listener := connected(t, name)
					served := make(chan Transfer, 1)
					failed := make(chan error, 1)
					mine, other := timed, timed
					mine.Side, mine.Role = Dialler, role
					other.Side, other.Role = Listener, workload.Send+workload.Receive-role
					go func() {
						got, err := listener.Timed(t.Context(), other, nil)
						served <- got
						failed <- err
					}()
					d, err := dialler.Timed(t.Context(), mine, nil)
					l := <-served
					if err := errors.Join(err, <-failed); err != nil {
						t.Fatal(err)
					}
					if !d.Report.Intact || !l.Report.Intact || d.Report.Role != role || l.Report.Role == role {
						t.Fatalf("dialler %+v, listener %+v; want both intact, the dialler to %v", d.Report, l.Report, role)
					}
					receiver := l.Report
					if role == workload.Receive {
						receiver = d.Report
					}
					switch {
					case timed.Handshake != nil:
						if h := d.Report.Handshake; h == nil || h.Done == 0 || h.Failed > 0 {
							t.Errorf("handshakes: %+v", h)
						}
					case receiver.Paced == nil || receiver.Paced.Delivered != 50 || receiver.Paced.Latency.HDR == "":
						t.Errorf("the receiver says %+v, want 50 messages and their times", receiver.Paced)
					}
				})
			}
		}
	}
}
