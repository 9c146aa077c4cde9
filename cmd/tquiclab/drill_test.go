package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
)

const (
	drillPoints = 100
	// drillSeedVariable repeats a drill that failed: the seed that it printed.
	drillSeedVariable = "TQUICLAB_DRILL_SEED"
)

// drillTopologies are drilled at the same time, with a third of the points each: wires
// alone, a NAT, a conductor.
var drillTopologies = [...]string{"lte-wifi", "nat", "handover"}

// TestCrashDrill kills commands with SIGKILL at a hundred random moments of up, run
// and down. One reap later nothing of the lab is left, and what is somebody else's
// beside it is as it was. The moments are fractions of the time that a whole command
// takes here.
func TestCrashDrill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(drillSeedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d repeats the points", drillSeedVariable, seed)
	points := drawPoints(seed)
	var drills []*drill
	for _, topology := range drillTopologies {
		d := newDrill(t, topology)
		drills = append(drills, d)
		d.measure()
		t.Logf("%s: whole commands take %v", topology, d.whole)
	}
	var working sync.WaitGroup
	for i, d := range drills {
		working.Go(func() {
			for n := i; n < len(points); n += len(drills) {
				d.crash(n, points[n])
			}
			d.wantForeignUntouched()
		})
	}
	working.Wait()
	var done outcome
	for _, d := range drills {
		done.killed += d.outcome.killed
		done.late += d.outcome.late
		done.whole += d.outcome.whole
	}
	t.Logf("%d killed at work, %d had ended, %d of the labs were whole", done.killed, done.late, done.whole)
	if done.killed < drillPoints/2 {
		t.Errorf("only %d of %d commands were killed at work", done.killed, drillPoints)
	}
}

// point is a moment of a command's life.
type point struct {
	verb string
	at   float64 // of the time that the whole command takes
}

// drawPoints spreads the points evenly over each command, a little past its end, and
// shuffles them.
func drawPoints(seed uint64) []point {
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	var points []point
	for verb, n := range map[string]int{"up": 40, "run": 30, "down": 30} {
		for i := range n {
			points = append(points, point{verb, 1.1 * (float64(i) + random.Float64()) / float64(n)})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.verb, b.verb) }) // maps have no order
	random.Shuffle(len(points), func(i, k int) { points[i], points[k] = points[k], points[i] })
	return points
}

// outcome counts what became of the commands.
type outcome struct{ killed, late, whole int }

// drill is one lab that crashes again and again, on a host of its own: a namespace in
// which everything is somebody else's.
type drill struct {
	*program
	t        *testing.T
	topology string
	host     *netns.NS
	foreign  string                   // namespace, under a name that the lab's could have
	before   string                   // what was there before
	whole    map[string]time.Duration // that commands take which nobody kills
	outcome  outcome
}

func newDrill(t *testing.T, topology string) *drill {
	t.Helper()
	d := &drill{program: newProgram(t), t: t, topology: topology, whole: map[string]time.Duration{}}
	d.foreign = "tql-" + d.lab + "-stranger"
	var err error
	if d.host, err = netns.Create("tqldrill-"+d.lab, "somebody else's"); err != nil {
		t.Fatal(err)
	}
	stranger, err := netns.Create(d.foreign, "somebody else's")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(d.host.Close(), stranger.Close(), netns.Remove(d.host.Name()), netns.Remove(d.foreign))
		if err != nil {
			t.Error(err)
		}
	})
	for _, ns := range []*netns.NS{d.host, stranger} {
		// IPv6 changes by itself: addresses settle.
		if err := link.SetSysctls(ns, link.WireSysctls()); err != nil {
			t.Fatal(err)
		}
	}
	// The interfaces have names and addresses that the lab's have, too.
	for _, command := range []string{
		"ip link add lte type veth peer name wifi",
		"ip addr add 10.77.0.1/24 dev lte",
		"ip link set lte up",
		"ip link set wifi up",
		"tc qdisc add dev lte root tbf rate 1mbit burst 32kb latency 50ms",
		"ip link add lte2 type veth peer name lte netns " + d.foreign,
		"ip link set lte2 up",
		"ip -n " + d.foreign + " link set lte up",
		"tc -n " + d.foreign + " qdisc add dev lte root tbf rate 1mbit burst 32kb latency 50ms",
	} {
		d.inHost(command)
	}
	for _, name := range []string{"lte", "wifi", "lte2"} {
		if err := link.AwaitUp(t.Context(), d.host, name); err != nil { // or they still change
			t.Fatal(err)
		}
	}
	if err := link.AwaitUp(t.Context(), stranger, "lte"); err != nil {
		t.Fatal(err)
	}
	d.before = d.foreignState()
	return d
}

// inHost runs a command on the drill's host and returns what it says.
func (d *drill) inHost(command string) string {
	cmd := exec.Command(strings.Fields(command)[0], strings.Fields(command)[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := errors.Join(d.host.Do(cmd.Start), cmd.Wait()); err != nil {
		d.t.Errorf("%s: %v: %s", command, err, &out)
	}
	return out.String()
}

// foreignState is everything that a lab could have touched.
func (d *drill) foreignState() string {
	var state strings.Builder
	for _, in := range []string{"", "-n " + d.foreign + " "} {
		for _, command := range []string{"ip " + in + "-o addr", "ip " + in + "-o -d link", "ip " + in + "route show table all", "ip " + in + "rule", "tc " + in + "qdisc"} {
			state.WriteString(d.inHost(command))
		}
	}
	return state.String()
}

func (d *drill) wantForeignUntouched() {
	if after := d.foreignState(); after != d.before {
		d.t.Errorf("what was somebody else's changed:\n%s\nbefore:\n%s", after, d.before)
	}
}

// start starts the program on the drill's host.
func (d *drill) start(stderr *bytes.Buffer, verb string) *exec.Cmd {
	args := map[string][]string{
		"up":   {"up", d.topology, "--name", d.lab},
		"down": {"down", d.lab},
		"reap": {"reap"},
		"run": {
			"run", d.topology, "--name", d.lab, "--engine", "quic-go-bond", "--rounds", "1", "--duration", "200ms",
			"--no-calibration", "--out", d.out,
		},
	}[verb]
	if verb == "run" {
		if err := os.RemoveAll(d.out); err != nil {
			d.t.Error(err)
		}
	}
	cmd := d.command(stderr, args...)
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // or each command and relay ends a second late
	if err := d.host.Do(cmd.Start); err != nil {
		d.t.Errorf("%s: %v", verb, err)
	}
	return cmd
}

// must runs the program to its end.
func (d *drill) must(verb string) time.Duration {
	var stderr bytes.Buffer
	start := time.Now()
	if err := d.start(&stderr, verb).Wait(); err != nil {
		d.t.Errorf("%s: %v\n%s", verb, err, &stderr)
	}
	return time.Since(start)
}

// measure sees how long the commands take, the shorter of two times.
func (d *drill) measure() {
	for _, verb := range []string{"up", "down", "run", "up", "down"} {
		took := d.must(verb)
		if before, ok := d.whole[verb]; !ok || took < before {
			d.whole[verb] = took
		}
	}
}

// crash kills a command at the point and reaps what it leaves.
func (d *drill) crash(n int, p point) {
	if d.t.Failed() {
		return // what is left may be of an earlier point
	}
	if p.verb == "down" {
		d.must("up")
	}
	var stderr bytes.Buffer
	cmd := d.start(&stderr, p.verb)
	time.Sleep(time.Duration(p.at * float64(d.whole[p.verb])))
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Error(err)
	}
	_ = cmd.Wait() // says that it was killed
	if cmd.ProcessState.Exited() {
		d.outcome.late++
	} else {
		d.outcome.killed++
	}
	if d.isWhole() {
		// It came up before it was killed, or was not touched yet: no crash's remains.
		d.outcome.whole++
		d.must("reap")
		if !d.isWhole() {
			d.t.Errorf("point %d, %s at %.3f: reap took a lab that was whole", n, p.verb, p.at)
		}
		d.must("down")
	} else {
		d.must("reap")
	}
	if left := d.left(); len(left) > 0 {
		d.t.Errorf("point %d, %s at %.3f of %v: left: %s\n%s", n, p.verb, p.at, d.whole[p.verb], strings.Join(left, ", "), &stderr)
	}
}

// isWhole reads the lab's state as it lies there: up, and nobody's but the user's.
func (d *drill) isWhole() bool {
	data, err := os.ReadFile(filepath.Join(d.state, "labs", d.lab, "state.json"))
	if err != nil {
		return false
	}
	var state struct {
		Phase string          `json:"phase"`
		Owner json.RawMessage `json:"owner"`
	}
	return json.Unmarshal(data, &state) == nil && state.Phase == "up" && state.Owner == nil
}

// left returns whatever there is of the lab: names of namespaces and the mounts on
// them, processes, sockets, files.
func (d *drill) left() (left []string) {
	names, err := filepath.Glob(filepath.Join(netns.Dir, "tql-"+d.lab+"*"))
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range names {
		if filepath.Base(name) != d.foreign {
			left = append(left, name)
		}
	}
	for _, pid := range d.processes("") {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	for _, file := range []string{"/proc/self/mountinfo", fmt.Sprintf("/proc/%d/net/unix", os.Getpid())} {
		data, err := os.ReadFile(file)
		if err != nil {
			left = append(left, err.Error())
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, d.lab) && !strings.Contains(line, d.foreign) && !strings.Contains(line, d.host.Name()) || strings.Contains(line, d.state) {
				left = append(left, strings.TrimSpace(line))
			}
		}
	}
	if _, err := os.Stat(d.state); !errors.Is(err, os.ErrNotExist) {
		left = append(left, fmt.Sprintf("%s (%v)", d.state, err))
	}
	return left
}
