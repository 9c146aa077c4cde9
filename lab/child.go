package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/tquiclab/tquiclab/emulation/control"
)

// childPatience is how long a process of the lab may take to say that it works.
const childPatience = 10 * time.Second

// maxSocketPath is the room in sockaddr_un.sun_path, without its final zero
// (unix(7)).
const maxSocketPath = 107

// child is a process of the lab to be: it reads its spec on standard input, gets
// open files, and outlives the command that starts it.
type child struct {
	what    string // in messages
	command []string
	spec    any // becomes JSON
	files   []*os.File
	log     string       // path of what it says on standard error
	ref     **processRef // where the state has it
}

// startChild starts the process and waits until it works. Its mark is in its
// environment from the start, so that it is found whatever happens here.
func (r *raising) startChild(ctx context.Context, c child) error {
	text, err := json.Marshal(c.spec)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.what, err)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.what, err)
	}
	defer log.Close()
	said, say, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", c.what, err)
	}
	defer said.Close()

	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Env = withMark(r.host.Environment, r.state.Mark)
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(string(text))
	cmd.Stdout, cmd.Stderr = say, log
	cmd.ExtraFiles = c.files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's signal reaches it
	err = cmd.Start()
	say.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", c.what, err)
	}
	go cmd.Wait() // reaps it, should it end before this process
	ref, err := refOf(cmd.Process.Pid)
	if err == nil {
		*c.ref = &ref
		err = r.host.save(r.state)
	}
	return errors.Join(err, waitReady(ctx, said, c.what))
}

func waitReady(ctx context.Context, said *os.File, what string) error {
	if err := said.SetReadDeadline(time.Now().Add(childPatience)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := control.WaitReady(what, said); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

// listenControl makes the control socket of a process of the lab. Only root may
// connect.
func listenControl(whose, path string) (*os.File, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("make the %s's control socket: %s has %d bytes, a socket's path has %d at most: use a shorter name for the lab or the state folder", whose, path, len(path), maxSocketPath)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the %s's control socket: %w", whose, err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

// withMark returns the environment with the lab's mark and no other lab's.
func withMark(environ []string, m Mark) []string {
	kept := make([]string, 0, len(environ)+1)
	for _, v := range environ {
		if !strings.HasPrefix(v, MarkVariable+"=") {
			kept = append(kept, v)
		}
	}
	return append(kept, MarkVariable+"="+m.String())
}
