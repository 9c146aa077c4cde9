package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab"
)

// terminal is a pseudo-terminal of 24 rows and 100 columns; what is written to its
// user side appears in text.
type terminal struct {
	user *os.File
	text bytes.Buffer
	done chan struct{}
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{done: make(chan struct{})}
	if term.user, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.done)
		_, _ = term.text.ReadFrom(master) // ends with EIO when the user side is closed
	}()
	t.Cleanup(func() {
		term.user.Close()
		<-term.done
		master.Close()
	})
	return term
}

// close ends the user side and returns all that appeared.
func (term *terminal) close() string {
	term.user.Close()
	<-term.done
	return term.text.String()
}

// On a terminal the table is drawn over itself, within the terminal's width, and
// ctrl-C ends the watch in order.
func TestWatchStaysInPlace(t *testing.T) {
	p := newProgram(t)
	var stderr bytes.Buffer
	if err := p.command(&stderr, "up", "lte-wifi", "--name", p.lab).Run(); err != nil {
		t.Fatalf("up: %v\n%s", err, &stderr)
	}
	term := newTerminal(t)
	cmd := p.command(&stderr, "status", p.lab, "--watch", "--interval", "50ms")
	cmd.Stdout = term.user
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("watch: %v\n%s", err, &stderr)
	}
	text := term.close()
	const lines = 6 // title, heading, two links both ways
	if drawn, over := strings.Count(text, "LINK"), strings.Count(text, "\x1b[6A"); drawn < 2 || over != drawn-1 || strings.Count(text, "\r\n") != drawn*lines {
		t.Errorf("the table was drawn %d times, %d times over itself, in %d lines:\n%q", drawn, over, strings.Count(text, "\r\n"), text)
	}
}

// A shell on a terminal: the prompt says where it is, ctrl-D ends it.
func TestShellOnATerminal(t *testing.T) {
	p := newProgram(t)
	var stderr bytes.Buffer
	if err := p.command(&stderr, "up", "direct", "--name", p.lab).Run(); err != nil {
		t.Fatalf("up: %v\n%s", err, &stderr)
	}
	term := newTerminal(t)
	cmd := exec.Command("tquiclab", "shell", p.lab, "client")
	cmd.Env = append(os.Environ(), stateVariable+"="+p.state, "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("ip -o link show dev link\nexit 5\n"), term.user, term.user
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("the shell ended with %v, want exit code 5", err)
	}
	text := term.close()
	for _, want := range []string{"[" + p.lab + ":client] ", "link@"} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal lacks %q:\n%s", want, text)
		}
	}
}

func TestRateText(t *testing.T) {
	for bps, want := range map[float64]string{
		0: "0 bit/s", 999: "999 bit/s", 1000: "1.0 kbit/s", 12.34e6: "12.3 Mbit/s", 2e9: "2.0 Gbit/s",
	} {
		if got := rateText(bps); got != want {
			t.Errorf("rateText(%v) = %q, want %q", bps, got, want)
		}
	}
}

func TestDroppedText(t *testing.T) {
	for _, tt := range []struct {
		flow lab.Flow
		want string
	}{
		{lab.Flow{State: "up"}, "-"},
		{lab.Flow{Dropped: map[string]uint64{"queue": 3, "loss": 1}}, "1 loss, 3 queue"},
		{lab.Flow{BackendLost: 2, State: "down"}, "2 LOST BY THE EMULATOR, interface down"},
	} {
		if got := droppedText(tt.flow); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.flow, got, tt.want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		line  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"±µ─x", 3, "±µ─"}, {"abc", 0, "abc"}} {
		if got := clip(tt.line, tt.width); got != tt.want {
			t.Errorf("clip(%q, %d) = %q, want %q", tt.line, tt.width, got, tt.want)
		}
	}
}
