package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

func TestUpThatFailsAtAnyStepLeavesNothing(t *testing.T) {
	steps := len(NewPlan(eventful(), "x", BackendRelay).Steps)
	for i := range steps {
		h, name := newHost(t), uniqueName()
		plan := NewPlan(eventful(), name, BackendRelay)
		broken := errors.New("broken on purpose")
		run := plan.Steps[i].run
		plan.Steps[i].run = func(ctx context.Context, r *raising) error { return errors.Join(run(ctx, r), broken) }
		if _, err := h.raise(t.Context(), plan, UpConfig{Topology: eventful()}); !errors.Is(err, broken) {
			t.Fatalf("step %d: raise = %v, want the step's error", i, err)
		}
		wantNothing(t, h, name)
	}
}

func TestUpThatIsInterruptedLeavesNothing(t *testing.T) {
	steps := len(NewPlan(eventful(), "x", BackendRelay).Steps)
	for i := range steps {
		h, name := newHost(t), uniqueName()
		ctx, cancel := context.WithCancel(t.Context())
		plan := NewPlan(eventful(), name, BackendRelay)
		run := plan.Steps[i].run
		plan.Steps[i].run = func(ctx context.Context, r *raising) error { cancel(); return run(ctx, r) }
		_, err := h.raise(ctx, plan, UpConfig{Topology: eventful()})
		if last := i == steps-1; !errors.Is(err, context.Canceled) && !last {
			t.Fatalf("step %d: raise = %v, want context.Canceled", i, err)
		}
		if err != nil {
			wantNothing(t, h, name)
		}
		cancel()
	}
}

// TestKilledUp kills an up before and after each of its steps, with nobody left
// to undo anything.
func TestKilledUp(t *testing.T) {
	steps := len(NewPlan(eventful(), "x", BackendRelay).Steps)
	for n := range 2 * steps {
		t.Run(fmt.Sprintf("point=%d", n), func(t *testing.T) {
			h, name := newHost(t), uniqueName()
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(exe, "die", h.Dir, name, fmt.Sprint(n)).CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
				t.Fatalf("the up that was to die: %v\n%s", err, out)
			}
			if n%2 == 0 {
				if _, err := h.Down(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			} else {
				r := mustUp(t, h, UpConfig{Topology: eventful(), Name: name, Backend: BackendRelay})
				if !r.Repaired || r.AlreadyUp {
					t.Errorf("Up after the crash = %+v, want Repaired", r)
				}
				wantEcho(t, r.Lab, "lte")
				if _, err := h.Down(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			wantNothing(t, h, name)
		})
	}
}

func TestKilledRelay(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay}).Lab
	relay := lab.state.Relay
	if err := unix.Kill(relay.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for relay.alive() {
		time.Sleep(time.Millisecond)
	}
	status, err := h.Status(t.Context(), name)
	if err != nil || !strings.Contains(status.Broken, "relay process died") {
		t.Errorf("status = %q, %v, want it to say that the relay died", status.Broken, err)
	}
	r := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
	if !r.Repaired {
		t.Errorf("Up = %+v, want Repaired", r)
	}
	wantEcho(t, r.Lab, "lte")
}

func TestStoppedRelayIsEnded(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay}).Lab
	if err := unix.Kill(lab.state.Relay.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, h, name)
}

func TestDownWithoutItsState(t *testing.T) {
	for what, damage := range map[string]func(path string) error{
		"gone":    os.Remove,
		"torn":    func(p string) error { return os.Truncate(p, 100) },
		"foreign": func(p string) error { return os.WriteFile(p, []byte(`{"version": 99}`), 0o644) },
		"folder":  func(p string) error { return os.RemoveAll(filepath.Dir(p)) },
	} {
		t.Run(what, func(t *testing.T) {
			h, name := newHost(t), uniqueName()
			mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
			if err := damage(filepath.Join(h.labDir(name), "state.json")); err != nil {
				t.Fatal(err)
			}
			reaped, err := h.Reap(t.Context())
			if err != nil || len(reaped) != 1 || reaped[0].Lab != name {
				t.Errorf("Reap = %+v, %v, want it to take %s", reaped, err, name)
			}
			wantNothing(t, h, name)
		})
	}
}

// A command that is killed early leaves folders and nothing in them that says so.
func TestReapTakesWhatHasNoState(t *testing.T) {
	for what, file := range map[string]string{
		"the lock":         "lock",
		"a lab's folder":   "labs/x/",
		"half a state":     "labs/x/state.json.new",
		"the labs' folder": "labs/",
	} {
		t.Run(what, func(t *testing.T) {
			h := newHost(t)
			path := filepath.Join(h.Dir, file)
			if err := os.MkdirAll(filepath.Join(h.Dir, filepath.Dir(file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "/") {
				if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := h.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(h.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("state folder: %v, want it gone", err)
			}
		})
	}
}

func TestReapTakesOnlyWhatIsLost(t *testing.T) {
	h := newHost(t)
	kept, owned, orphan := uniqueName(), uniqueName(), uniqueName()
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: kept})
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: owned, OwnerPID: os.Getpid()})
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: orphan, OwnerPID: child.Process.Pid})
	child.Process.Kill()
	child.Wait()

	reaped, err := h.Reap(t.Context())
	if err != nil || len(reaped) != 1 || reaped[0].Lab != orphan {
		t.Errorf("Reap = %+v, %v, want only %s", reaped, err, orphan)
	}
	wantNothing(t, h, orphan)
	for _, name := range []string{kept, owned} {
		lab, err := h.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		wantEcho(t, lab, "lte")
	}
	lab, _ := h.Open(owned)
	if _, released, err := lab.Release(t.Context()); err != nil || !released {
		t.Errorf("Release by the owner = %v, %v, want it taken down", released, err)
	}
	lab, _ = h.Open(kept)
	if _, released, err := lab.Release(t.Context()); err != nil || released {
		t.Errorf("Release of a lab without owner = %v, %v, want it left", released, err)
	}
}

// TestDownRemovesTheFileOfAnInterruptedCreation: between the making of a name's
// file and the mount on it, a namespace cannot bear a mark. The state says whose
// the file is.
func TestDownRemovesTheFileOfAnInterruptedCreation(t *testing.T) {
	h, name := newHost(t), uniqueName()
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
	s, err := h.load(name)
	if err != nil {
		t.Fatal(err)
	}
	recorded := filepath.Join(netns.Dir, NodeNamespace(name, "interrupted"))
	foreign := filepath.Join(netns.Dir, NodeNamespace(name, "foreign"))
	s.Namespaces = append(s.Namespaces, filepath.Base(recorded))
	if err := h.save(s); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{recorded, foreign} {
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Remove(foreign)
	if _, err := h.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(recorded); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the recorded file: %v, want it gone", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("the foreign file: %v, want it left", err)
	}
	wantNothing(t, h, name)
}
