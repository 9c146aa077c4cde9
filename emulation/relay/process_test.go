package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/control"
)

// wantExit waits until the relay has ended, and checks how.
func (r *rig) wantExit(code int) {
	r.tb.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.tb.Fatal("the relay did not end")
	}
	if got := r.child.ProcessState.ExitCode(); got != code {
		r.tb.Errorf("the relay ended with %d, want %d: %v\n%s", got, code, r.exitErr, r.stderr.String())
	}
}

func TestEndsOnSIGTERM(t *testing.T) {
	r := newRig(t)
	r.start(Wire{Up: emulation.Impairments{Delay: time.Hour}})
	f := r.flow(100, addrA6.Addr(), addrB6.Addr())
	f.send(10, 0) // held for an hour, or until the end
	if err := r.child.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.wantExit(0)
	if err := r.client.Ping(t.Context()); err == nil {
		t.Error("the relay answers after its end")
	}
}

// After a kill the interfaces work as before: another relay takes over.
func TestAnotherRelayAfterAKill(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	if err := r.child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.exited
	if _, err := Dial(r.socketPath); err == nil {
		t.Error("the control socket takes connections after the kill")
	}
	r.start(Wire{})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(100, 1)
	f.receive(100)
	wantClean(t, r.counters().Up)
}

func TestEndsWhenItsInterfaceIsDeleted(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first func(*rig) // before the deletion
		node  func(*rig) (*space, string)
	}{
		{"first end", func(*rig) {}, func(r *rig) (*space, string) { return r.a, "a" }},
		{"second end", func(*rig) {}, func(r *rig) (*space, string) { return r.b, "b" }},
		{
			"while down",
			func(r *rig) {
				r.w.set("wa", false)
				r.until("the direction down", func(s WireStatus) bool { return s.Up.State == StateDown })
			},
			func(r *rig) (*space, string) { return r.w, "wa" },
		},
		{
			"while packets are held",
			func(r *rig) {
				f := r.flow(100, addrA4.Addr(), addrB4.Addr())
				f.send(5, 0)
				r.until("packets held", func(s WireStatus) bool { return s.Up.HeldPackets > 0 })
			},
			func(r *rig) (*space, string) { return r.a, "a" },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachOffload(t, func(t *testing.T, newRig func(testing.TB) *rig, offload Offload) {
				r := newRig(t).quiet()
				r.start(Wire{Up: emulation.Impairments{Delay: time.Minute}, Offload: offload})
				tc.first(r)
				node, name := tc.node(r)
				if err := node.netlink.LinkDel(node.link(name)); err != nil {
					t.Fatal(err)
				}
				r.wantExit(0)
				if !strings.Contains(r.stderr.String(), "its interface is gone") {
					t.Errorf("the relay did not say why it ended:\n%s", r.stderr.String())
				}
			})
		})
	}
}

func TestOtherWiresGoOn(t *testing.T) {
	first, second := newRig(t), newRig(t)
	p, q := first.ports(), second.ports()
	control := first.listen()
	first.startChild(Spec{Lab: "rig", Wires: []Wire{
		{Link: "one", Ports: [2]int{1, 2}},
		{Link: "two", Ports: [2]int{3, 4}},
	}}, control, p[0].File(), p[1].File(), q[0].File(), q[1].File())
	f := second.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(100, 1)
	if err := first.a.netlink.LinkDel(first.a.link("a")); err != nil {
		t.Fatal(err)
	}
	client, err := Dial(first.socketPath)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s, err := client.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Wires[0].Link == "one" && s.Wires[0].Up.State == StateGone && s.Wires[1].Up.State == StateUp {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("never saw wire one gone and two up: %+v", s)
		}
	}
	f.send(100, 1)
	f.receive(200)
	if err := second.b.netlink.LinkDel(second.b.link("b")); err != nil {
		t.Fatal(err)
	}
	first.wantExit(0)
}

func TestDownAndUpAgain(t *testing.T) {
	eachOffload(t, func(t *testing.T, newRig func(testing.TB) *rig, offload Offload) {
		r := newRig(t).quiet()
		r.start(Wire{Offload: offload})
		f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
		f.send(10, 1)
		r.w.set("wa", false)
		r.until("the direction down", func(s WireStatus) bool { return s.Up.State == StateDown })
		r.w.set("wa", true)
		f.send(10, 1)
		r.until("the direction up", func(s WireStatus) bool { return s.Up.State == StateUp })
	})
}

func TestControlProtocol(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	if err := r.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	s, err := r.client.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Lab != "rig" || s.PID != r.child.Process.Pid || len(s.Wires) != 1 || s.Wires[0].Link != "test" {
		t.Errorf("unexpected status: %+v", s)
	}
	for name, tc := range map[string]struct{ send, want string }{
		"unknown op": {`{"op":"stop"}`, "unknown op"},
		"no JSON":    {`counters`, "not a JSON request"},
		"empty":      {``, "not a JSON request"},
		"wrong type": {`{"op":1}`, "not a JSON request"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := r.dialRaw()
			answers := bufio.NewReader(conn)
			fmt.Fprintln(conn, tc.send)
			if _, err := readResponse(answers); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			fmt.Fprintln(conn, `{"op":"ping"}`) // the connection is still good
			if _, err := readResponse(answers); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("endless line", func(t *testing.T) {
		conn := r.dialRaw()
		_, _ = conn.Write(bytes.Repeat([]byte("x"), 2*control.MaxLine))
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("want the connection closed, got %v", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.client.Ping(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

func (r *rig) dialRaw() net.Conn {
	r.tb.Helper()
	conn, err := net.Dial("unix", r.socketPath)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.tb.Fatal(err)
	}
	return conn
}

// Clients that ask and never read, that send half a line or far too much, or that are
// too many hold up neither the wire nor, once they are gone, other clients.
func TestHostileControlClients(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	var conns []net.Conn
	for i := range control.MaxClients + 10 {
		conn := r.dialRaw()
		conns = append(conns, conn)
		if err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		switch i % 5 {
		case 0:
			_, _ = conn.Write(bytes.Repeat([]byte(`{"op":"counters"}`+"\n"), 5000))
		case 1:
			_, _ = conn.Write([]byte(`{"op":`))
		case 2:
			fmt.Fprintln(conn, `{"op":"drops"}`)
		case 3:
			fmt.Fprintln(conn, `{"op":"set","settings":[`+strings.Repeat("{},", 100_000)+`{}]}`)
		case 4:
			fmt.Fprintln(conn, `{"op":"await"}`)
		}
	}
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(1, 1)
	f.send(10_000, 500)
	f.receive(10_001)
	f.wantInOrder()
	for _, c := range conns {
		_ = c.Close()
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		client, err := Dial(r.socketPath)
		if err != nil {
			t.Fatal(err)
		}
		err = client.Ping(t.Context())
		_ = client.Close()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no answer once the hostile clients are gone: %v", err)
		}
	}
	s := r.until("all counted", func(s WireStatus) bool { return s.Up.DepartedPackets >= 10_001 })
	wantClean(t, s.Up)
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.child.Process.Pid)); err != nil || len(fds) > 20 {
		t.Errorf("the relay has %d files open (%v): connections leak", len(fds), err)
	}
}

func TestChildSaysWhatIsWrong(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tc := range []struct{ name, spec, want string }{
		{"no JSON", `hello`, "read relay spec"},
		{"unknown key", `{"wire":[]}`, "unknown field"},
		{"no wires", `{"lab":"x"}`, "no wires"},
		{"no such file", `{"wires":[{"link":"a","ports":[1,9]}]}`, "file 9 of 3 does not exist"},
		{"one file twice", `{"wires":[{"link":"a","ports":[1,1]}]}`, "already a port of link a"},
		{"impossible", `{"wires":[{"link":"a","ports":[1,2],"up":{"loss":2}}]}`, "not a probability"},
		{"no socket", `{"wires":[{"link":"a","ports":[1,2]}]}`, "port from file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &rig{tb: t}
			err := r.launch([]byte(tc.spec), null, null, null)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			r.wantExit(1)
		})
	}
}

func TestOpenPortOfMissingInterface(t *testing.T) {
	if _, err := OpenPort("no-such-if"); err == nil || !strings.Contains(err.Error(), "no-such-if") {
		t.Errorf("got %v, want an error that names the interface", err)
	}
}

// listen makes the relay's control socket.
func (r *rig) listen() *os.File {
	r.tb.Helper()
	r.socketPath = filepath.Join(r.tb.TempDir(), "control")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socketPath, Net: "unix"})
	if err != nil {
		r.tb.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	if err != nil {
		r.tb.Fatal(err)
	}
	return file
}
