package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tquiclab/tquiclab/emulation/netem"
)

// TestMain lets the test binary be the program, for the scripts and for the
// agents and relays that the program starts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tquiclab": main})
}

// TestScripts runs the command line as a person does. Each script has a state
// folder of its own ($TQUICLAB_STATE) and a word for unique lab names ($LAB).
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// Short: a unix socket's path in it has 107 bytes at most.
			state, err := os.MkdirTemp("", "tqlc-")
			if err != nil {
				return err
			}
			env.Vars = append(env.Vars,
				"TQUICLAB_STATE="+filepath.Join(state, "run"),
				"LAB=t"+strings.ToLower(rand.Text()[:7]))
			env.Defer(func() {
				takeDown(t, filepath.Join(state, "run"))
				if err := os.RemoveAll(state); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "netem" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			_, err := netem.Probe()
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": wantExit,
		},
	})
}

// wantExit runs a command and compares its exit code: `exits 2 tquiclab up x`.
func wantExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got := fmt.Sprint(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// takeDown removes what a failed script left. testscript.Main has put the program
// into PATH.
func takeDown(t *testing.T, state string) {
	down := exec.Command("tquiclab", "down", "--all")
	down.Env = append(os.Environ(), stateVariable+"="+state)
	if out, err := down.CombinedOutput(); err != nil {
		t.Errorf("take down what the script left: %v\n%s", err, out)
	}
}
