package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/results"
)

// program is the command line with a state folder of its own.
type program struct {
	t     *testing.T
	state string
	lab   string
	out   string
}

func newProgram(t *testing.T) *program {
	t.Helper()
	parent, err := os.MkdirTemp("", "tqlf-") // short, for the relay's socket
	if err != nil {
		t.Fatal(err)
	}
	p := &program{
		t: t, state: filepath.Join(parent, "run"), lab: "t" + strings.ToLower(rand.Text()[:7]),
		out: filepath.Join(parent, "out"),
	}
	t.Cleanup(func() {
		takeDown(t, p.state)
		if err := os.RemoveAll(parent); err != nil {
			t.Error(err)
		}
	})
	return p
}

// command returns the program with the arguments; what it prints on standard
// error goes to the buffer.
func (p *program) command(stderr *bytes.Buffer, args ...string) *exec.Cmd {
	cmd := exec.Command("tquiclab", args...)
	cmd.Env = append(os.Environ(), stateVariable+"="+p.state)
	cmd.Stderr = stderr
	return cmd
}

// run starts a run with one trial of each engine.
func (p *program) run(stderr *bytes.Buffer, engines string, args ...string) *exec.Cmd {
	p.t.Helper()
	args = append([]string{"run", "lte-wifi", "--name", p.lab, "--engine", engines, "--rounds", "1", "--out", p.out}, args...)
	cmd := p.command(stderr, args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return cmd
}

// processes returns the pids of the lab's processes that run the verb.
func (p *program) processes(verb string) []int {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		ours := bytes.Contains(environ, []byte(":"+p.lab+":")) && bytes.Contains(environ, []byte(p.state))
		if ours && (verb == "" || bytes.HasSuffix(command, []byte("\x00"+verb+"\x00"))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitProcess waits until the lab has a process of the verb.
func (p *program) awaitProcess(verb string) int {
	p.t.Helper()
	for range 2000 {
		if pids := p.processes(verb); len(pids) > 0 {
			return pids[0]
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.t.Fatalf("no %s process came up", verb)
	return 0
}

// awaitTraffic waits until the run's first trial moves data.
func (p *program) awaitTraffic() {
	p.t.Helper()
	for range 2000 {
		series, _ := filepath.Glob(filepath.Join(p.out, "series", "*.jsonl"))
		if len(series) > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.t.Fatal("no trial began")
}

// wantNothingLeft fails when a namespace, process or file of the lab is there.
func (p *program) wantNothingLeft() {
	p.t.Helper()
	names, err := filepath.Glob("/run/netns/tql-" + p.lab + "*")
	if err != nil || len(names) > 0 {
		p.t.Errorf("namespaces left: %v, %v", names, err)
	}
	if pids := p.processes(""); len(pids) > 0 {
		p.t.Errorf("processes left: %v", pids)
	}
	if _, err := os.Stat(p.state); !errors.Is(err, os.ErrNotExist) {
		p.t.Errorf("state folder left: %v", err)
	}
}

func (p *program) mustDown() {
	p.t.Helper()
	var stderr bytes.Buffer
	if err := p.command(&stderr, "down", p.lab).Run(); err != nil {
		p.t.Fatalf("down: %v\n%s", err, &stderr)
	}
}

func (p *program) summary() results.Summary {
	p.t.Helper()
	_, s, err := results.Open(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestInterruptedRunCleansUpAndKeepsWhatIsDone(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			p := newProgram(t)
			var stderr bytes.Buffer
			// The first trial is short; the signal comes in the second.
			cmd := p.run(&stderr, "tcp@wifi,quic-go-bond", "--duration", "1s")
			p.awaitTrials(1)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
				t.Errorf("exit = %v, want %d\n%s", err, exitInterrupted, &stderr)
			}
			p.wantNothingLeft()
			s := p.summary()
			if s.Complete || len(s.Trials) != 1 || !s.Trials[0].Intact {
				t.Errorf("summary: complete %v, trials %+v, want the first one and incomplete", s.Complete, s.Trials)
			}
		})
	}
}

// awaitTrials waits until n trials are on the disk.
func (p *program) awaitTrials(n int) {
	p.t.Helper()
	for range 4000 {
		data, _ := os.ReadFile(filepath.Join(p.out, results.TrialsFile))
		if bytes.Count(data, []byte("\n")) >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.t.Fatalf("%d trials never ended", n)
}

func TestKilledAgentEndsItsTrialOnly(t *testing.T) {
	p := newProgram(t)
	var stderr bytes.Buffer
	cmd := p.run(&stderr, "tcp@wifi,quic-go-bond", "--duration", "2s")
	p.awaitTraffic()
	if err := unix.Kill(p.awaitProcess(agentVerb), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("exit = %v, want %d\n%s", err, exitFailed, &stderr)
	}
	p.wantNothingLeft()
	s := p.summary()
	if !s.Complete || len(s.Trials) != 2 {
		t.Fatalf("summary: complete %v, %d trials, want both", s.Complete, len(s.Trials))
	}
	if first := s.Trials[0]; first.Intact || !strings.Contains(first.Error, "killed") {
		t.Errorf("first trial: intact %v, error %q, want it to say that its agent was killed", first.Intact, first.Error)
	}
	if second := s.Trials[1]; !second.Intact || second.GoodputBPS == 0 {
		t.Errorf("second trial: %+v, want it intact", second)
	}
}

func TestKilledRelayEndsTheRunAtOnce(t *testing.T) {
	p := newProgram(t)
	var stderr bytes.Buffer
	cmd := p.run(&stderr, "tcp@wifi,quic-go-bond", "--duration", "300s")
	p.awaitTraffic()
	if err := unix.Kill(p.awaitProcess(relayVerb), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("exit = %v, want %d\n%s", err, exitFailed, &stderr)
	}
	if !strings.Contains(stderr.String(), "relay") {
		t.Errorf("stderr = %s, want it to name the relay", &stderr)
	}
	p.wantNothingLeft()
}

func TestDeletedInterfaceEndsTheRunAtOnce(t *testing.T) {
	p := newProgram(t)
	var stderr bytes.Buffer
	cmd := p.run(&stderr, "tcp@wifi,quic-go@wifi", "--duration", "300s")
	p.awaitTraffic()
	// The wire's end towards the client, in the wire's namespace.
	out, err := exec.Command("ip", "-n", "tql-"+p.lab+".wifi", "link", "del", "client").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("exit = %v, want %d\n%s", err, exitFailed, &stderr)
	}
	// Who finds out first depends on how far the trial was.
	said := stderr.String()
	if !strings.Contains(said, "an interface of link wifi was deleted") && !strings.Contains(said, "link wifi: its interface client was deleted") {
		t.Errorf("stderr = %s, want it to say which link lost an interface", &stderr)
	}
	p.wantNothingLeft()
}

func TestKilledRunIsCleanedUpByTheNextCommand(t *testing.T) {
	for _, next := range []string{"down", "up", "reap"} {
		t.Run(next, func(t *testing.T) {
			p := newProgram(t)
			var stderr bytes.Buffer
			cmd := p.run(&stderr, "quic-go-bond", "--duration", "300s")
			p.awaitTraffic()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			var out bytes.Buffer
			args := map[string][]string{"down": {"down", p.lab}, "up": {"up", "lte-wifi", "--name", p.lab, "--json"}, "reap": {"reap"}}[next]
			nextCmd := p.command(&stderr, args...)
			nextCmd.Stdout = &out
			if err := nextCmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s", next, err, &stderr)
			}
			if next == "up" {
				var up upResult
				if err := json.Unmarshal(out.Bytes(), &up); err != nil || !up.Repaired {
					t.Errorf("up = %s, %v, want repaired", &out, err)
				}
				if pids := p.processes(agentVerb); len(pids) > 0 {
					t.Errorf("agents of the killed run live on: %v", pids)
				}
				p.mustDown()
			}
			p.wantNothingLeft()
			if s := p.summary(); s.Complete {
				t.Error("the killed run's records say that it is complete")
			}
		})
	}
}

// TestAnythingDiesAtAnyMoment kills the command, an agent or the relay at random
// moments. Whatever was hit, the next down leaves nothing.
func TestAnythingDiesAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	for i := range 12 {
		victim := []string{"command", agentVerb, relayVerb}[i%3]
		signal := signals[random.IntN(len(signals))]
		delay := time.Duration(random.IntN(1200)) * time.Millisecond
		t.Run(fmt.Sprintf("%d/%s/%v/%v", i, victim, signal, delay), func(t *testing.T) {
			p := newProgram(t)
			var stderr bytes.Buffer
			cmd := p.run(&stderr, "quic-go-bond,tcp-tls@lte", "--duration", "1s")
			time.Sleep(delay)
			target := cmd.Process.Pid
			if victim != "command" {
				target = p.awaitProcess(victim)
			}
			if err := unix.Kill(target, signal); err != nil && !errors.Is(err, unix.ESRCH) {
				t.Fatal(err)
			}
			cmd.Wait()
			p.mustDown()
			p.wantNothingLeft()
		})
	}
}

func TestRunSaysBeforeTheLabThatItCannotWrite(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("none", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(small, 0)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, out, want string }{
		{"full", filepath.Join(small, "out"), "free"},
		{"read-only", "/proc/tquiclab", "--out"},
		{"a file", filepath.Join(file, "out"), "--out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgram(t)
			p.out = tt.out
			var stderr bytes.Buffer
			cmd := p.run(&stderr, "tcp@wifi", "--duration", "1s")
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("exit = %v, want %d and a word of %q\n%s", err, exitFailed, tt.want, &stderr)
			}
			p.wantNothingLeft()
		})
	}
}
