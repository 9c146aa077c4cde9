package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/topologies"
)

// relayPatience is how long a relay process may take to say that it forwards.
const relayPatience = 10 * time.Second

// maxSocketPath is the room in sockaddr_un.sun_path, without its final zero
// (unix(7)).
const maxSocketPath = 107

// relayBackend serves the wires by one process of the lab.
type relayBackend struct{}

func (relayBackend) probe() error { return nil } // packet sockets are as old as Linux

func (relayBackend) check(t topologies.Topology) error { return nil } // it runs the model itself

// attach opens a port at each end of each wire, inside the wire's namespace, and
// hands them to a process that outlives this one.
func (relayBackend) attach(ctx context.Context, r *raising) error {
	if len(r.host.Relay) == 0 {
		return errors.New("no relay command is set")
	}
	t := r.plan.Topology
	spec := relay.Spec{Lab: r.plan.Lab, Seed: t.Seed, Start: relay.StartKind(t.Start)}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, l := range t.Links {
		if !l.Impaired() {
			continue
		}
		wire := relay.Wire{
			Link: l.Name, Up: l.Up, Down: l.Down,
			UpTimeline: t.Timeline(l.Name, "up"), DownTimeline: t.Timeline(l.Name, "down"),
		}
		for i, node := range l.Endpoints {
			port, err := r.openPort(l.Name, node)
			if err != nil {
				return err
			}
			wire.Ports[i] = len(files)
			files = append(files, port.File())
		}
		spec.Wires = append(spec.Wires, wire)
	}
	control, err := listenControl(r.host.relaySocket(r.plan.Lab))
	if err != nil {
		return err
	}
	spec.Control = len(files)
	files = append(files, control)
	return r.startRelay(ctx, spec, files)
}

// openPort opens the wire's port towards a node.
func (r *raising) openPort(link, node string) (*relay.Port, error) {
	var port *relay.Port
	err := r.spaces[WireNamespace(r.plan.Lab, link)].Do(func() (err error) {
		port, err = relay.OpenPort(node)
		return err
	})
	return port, err
}

// listenControl makes the control socket. Only root may connect.
func listenControl(path string) (*os.File, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("make the relay's control socket: %s has %d bytes, a socket's path has %d at most: use a shorter name for the lab or the state folder", path, len(path), maxSocketPath)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the relay's control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

// startRelay starts the process and waits until it forwards. Its mark is in its
// environment from the start, so that it is found whatever happens here.
func (r *raising) startRelay(ctx context.Context, spec relay.Spec, files []*os.File) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	log, err := os.OpenFile(r.host.relayLog(r.plan.Lab), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	defer log.Close()
	said, say, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	defer said.Close()

	cmd := exec.Command(r.host.Relay[0], r.host.Relay[1:]...)
	cmd.Env = withMark(r.host.Environment, r.state.Mark)
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(string(text))
	cmd.Stdout, cmd.Stderr = say, log
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's signal reaches it
	err = cmd.Start()
	say.Close()
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	go cmd.Wait() // reaps it, should it end before this process
	ref, err := refOf(cmd.Process.Pid)
	if err == nil {
		r.state.Relay = &ref
		err = r.host.save(r.state)
	}
	return errors.Join(err, waitRelay(ctx, said))
}

func waitRelay(ctx context.Context, said *os.File) error {
	if err := said.SetReadDeadline(time.Now().Add(relayPatience)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := relay.WaitReady(said); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
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

func (relayBackend) wires(ctx context.Context, l *Lab) ([]WireStatus, error) {
	client, err := relay.Dial(filepath.Clean(l.host.relaySocket(l.Name())))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	status, err := client.Counters(ctx)
	if err != nil {
		return nil, err
	}
	wires := make([]WireStatus, len(status.Wires))
	for i, w := range status.Wires {
		wires[i] = WireStatus{Link: w.Link, Up: relayDirection(w.Up), Down: relayDirection(w.Down)}
	}
	return wires, nil
}

func relayDirection(d relay.DirectionStatus) DirectionStatus {
	return DirectionStatus{
		ArrivedPackets: d.ArrivedPackets,
		PassedPackets:  d.DepartedPackets,
		PassedBytes:    d.DepartedBytes,
		Dropped:        d.Dropped,
		HeldPackets:    d.HeldPackets,
		BackendLost:    d.RelayDrops.Total() + d.SendErrors,
		LatenessP99:    d.Lateness.P99,
		LatenessMax:    d.Lateness.Max,
		State:          string(d.State),
	}
}
