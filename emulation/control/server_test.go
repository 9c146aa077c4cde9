package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// echo serves clients that get each line back as a JSON text, and returns how to reach
// it and how to end it.
func echo(t *testing.T) (dial func() net.Conn, end func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(l, func(conn net.Conn) {
		for line := range Lines(conn) {
			if Send(conn, string(line)) != nil {
				return
			}
		}
	})
	var serving sync.WaitGroup
	serving.Go(s.Serve)
	end = sync.OnceFunc(func() {
		s.Close()
		serving.Wait()
	})
	t.Cleanup(end)
	return func() net.Conn {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return conn
	}, end
}

// ask sends a line and returns the answer; false when there is none.
func ask(t *testing.T, conn net.Conn, line string) (string, bool) {
	t.Helper()
	if _, err := conn.Write([]byte(line + "\n")); err != nil {
		return "", false
	}
	answer, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return "", false
	}
	var text string
	if err := json.Unmarshal(answer, &text); err != nil {
		t.Fatalf("answer %q: %v", answer, err)
	}
	return text, true
}

func TestClientsComeAndGo(t *testing.T) {
	dial, _ := echo(t)
	var conns []net.Conn
	for range MaxClients {
		conn := dial()
		conns = append(conns, conn)
		if got, ok := ask(t, conn, "hello"); !ok || got != "hello" {
			t.Fatalf("client %d of %d: got %q, %v", len(conns), MaxClients, got, ok)
		}
	}
	if got, ok := ask(t, dial(), "hello"); ok {
		t.Errorf("client %d was served: %q", MaxClients+1, got)
	}
	conns[0].Close()
	for range 1000 { // the server hears of it a moment later
		if _, ok := ask(t, dial(), "hello"); ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("no place came free when a client went")
}

func TestLineThatIsTooLongEndsTheClient(t *testing.T) {
	dial, _ := echo(t)
	conn := dial()
	_, _ = conn.Write(bytes.Repeat([]byte("x"), MaxLine+1))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes answer a line without an end", n)
	}
	if _, ok := ask(t, dial(), "hello"); !ok {
		t.Error("another client is not served")
	}
}

func TestCloseEndsClients(t *testing.T) {
	dial, end := echo(t)
	conn := dial()
	if _, ok := ask(t, conn, "hello"); !ok {
		t.Fatal("not served")
	}
	end()
	if _, ok := ask(t, conn, "hello"); ok {
		t.Error("served after the end")
	}
}
