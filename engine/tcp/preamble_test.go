package tcp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

func TestPreambleRoundTrip(t *testing.T) {
	for _, kind := range []byte{kindControl, kindStream} {
		want := preamble{kind: kind, token: newToken()}
		if got, err := parsePreamble(want.bytes()); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func FuzzPreamble(f *testing.F) {
	f.Add(preamble{kind: kindStream, token: token{1}}.bytes())
	f.Add([]byte("GET / HTTP/1.1\r\nHost: me"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePreamble(b); err == nil && !bytes.Equal(p.bytes(), b) {
			t.Fatalf("%x came back as %x", b, p.bytes())
		}
	})
}

func TestCongestionErrorsSayWhatToDo(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"restricted": {unix.EPERM, "CAP_NET_ADMIN"},
		"unknown":    {unix.ENOENT, "modprobe tcp_x"},
		"other":      {unix.EINVAL, `set congestion control "x"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := congestionError("x", test.err)
			if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want it to wrap %v and to say %q", err, test.err, test.want)
			}
		})
	}
	if err := congestionError("x", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// protocolOf returns a socket's SO_PROTOCOL.
func protocolOf(t *testing.T, sock *net.TCPListener) (protocol int) {
	t.Helper()
	raw, err := sock.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) {
		protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return protocol
}

// TestCongestionIsInUse wants the control that was asked for on both ends' sockets,
// and plain TCP: Go's listeners speak MPTCP unless they are told not to.
func TestCongestionIsInUse(t *testing.T) {
	for asked, want := range map[string]string{"": DefaultCongestion, "reno": "reno"} {
		t.Run("asked for "+asked, func(t *testing.T) {
			c := engine.Config{Congestion: asked, Paths: []engine.Path{{Local: netip.MustParseAddrPort("127.0.0.1:0")}}}
			l, err := New().Listen(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if got := protocolOf(t, l.(*listener).sockets[0]); got != unix.IPPROTO_TCP {
				t.Errorf("the listener's socket has protocol %d, want TCP", got)
			}
			c.Paths[0].Remote = l.Paths()[0].Local
			d, err := New().Dial(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			a, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			out, err := d.OpenStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			in, err := a.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for side, c := range map[string]*net.TCPConn{"dialler": out.(*stream).tcp, "listener": in.(*stream).tcp} {
				if got := congestionInUse(c); got != want {
					t.Errorf("%s's stream has %q, want %q", side, got, want)
				}
				if on, err := c.MultipathTCP(); on || err != nil {
					t.Errorf("%s's stream is MPTCP: %t, %v", side, on, err)
				}
			}
			if got := d.Stats().Congestion; got != want {
				t.Errorf("statistics say %q, want %q", got, want)
			}
		})
	}
}
