package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/topologies"
)

func ratePatch(r emulation.Rate) emulation.Patch {
	return emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: r}}
}

// eventful is twoLinks with a timeline that cuts lte after it has changed its rate.
func eventful() topologies.Topology {
	top := twoLinks()
	top.Start = topologies.StartManual
	top.Events = []topologies.Event{
		{At: 100 * time.Millisecond, Kind: topologies.EventSet, Link: "lte", Way: "up", Set: ratePatch(5e6)},
		{At: 200 * time.Millisecond, Kind: topologies.EventDown, Link: "lte"},
	}
	return top
}

// awaitChanges follows until n changes have come in, and returns them as text.
func awaitChanges(t *testing.T, f *Follow, n int) []journal.Entry {
	t.Helper()
	var all []journal.Entry
	for range 1000 {
		entries, err := f.Next(t.Context(), journal.Now())
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, entries...); len(all) >= n {
			return all
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("only %d changes came in: %v", len(all), texts(all))
	return nil
}

func texts(entries []journal.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, string(e.By)+": "+e.Text())
	}
	return all
}

func wantTexts(t *testing.T, got []journal.Entry, want ...string) {
	t.Helper()
	if !slices.Equal(texts(got), want) {
		t.Errorf("changes:\n  %s\nwant\n  %s", strings.Join(texts(got), "\n  "), strings.Join(want, "\n  "))
	}
}

// flags returns an interface's, and its addresses.
func flags(t *testing.T, l *Lab, node, name string) (net.Flags, []string) {
	t.Helper()
	var iface *net.Interface
	var addresses []string
	err := l.Do(node, func() (err error) {
		if iface, err = net.InterfaceByName(name); err != nil {
			return err
		}
		addrs, err := iface.Addrs()
		for _, a := range addrs {
			addresses = append(addresses, a.String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return iface.Flags, addresses
}

// wantCarrier checks what both nodes see of a link: their interface is up, has its
// addresses and routes, and a carrier or not.
func wantCarrier(t *testing.T, l *Lab, link string, want Carrier) {
	t.Helper()
	for i, node := range []string{"client", "server"} {
		got, addresses := flags(t, l, node, link)
		// The kernel tells a node of its carrier's loss within a second or so.
		for i := 0; i < 300 && got&net.FlagRunning != 0 != (want == CarrierOn); i++ {
			time.Sleep(10 * time.Millisecond)
			got, addresses = flags(t, l, node, link)
		}
		if got&net.FlagUp == 0 || got&net.FlagRunning != 0 != (want == CarrierOn) {
			t.Errorf("%s/%s: %v, want it up and its carrier %s", node, link, got, want)
		}
		for _, prefix := range twoLinks().Links[0].Addresses[i] {
			if !slices.Contains(addresses, prefix.String()) {
				t.Errorf("%s/%s has %v, want %v kept", node, link, addresses, prefix)
			}
		}
		var routed net.IP
		err := l.Do(node, func() error {
			peer := twoLinks().Links[0].Addresses[1-i][1].Addr()
			conn, err := net.Dial("udp6", netip.AddrPortFrom(peer, 9).String())
			if err != nil {
				return err
			}
			routed = conn.LocalAddr().(*net.UDPAddr).IP
			return conn.Close()
		})
		if err != nil || routed.String() != twoLinks().Links[0].Addresses[i][1].Addr().String() {
			t.Errorf("%s: route over %s starts at %v, %v; want it kept", node, link, routed, err)
		}
	}
}

// cutByHand takes a link's carrier and gives it back.
func cutByHand(t *testing.T, l *Lab) {
	t.Helper()
	f, err := l.Follow()
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, l, "lte")
	if err := l.SetLink(t.Context(), "lte", CarrierOff); err != nil {
		t.Fatal(err)
	}
	wantCarrier(t, l, "lte", CarrierOff)
	if n := sendNumbered(t, l, "lte", 3); n != 0 {
		t.Errorf("%d of 3 datagrams came through a link without a carrier", n)
	}
	wantEcho(t, l, "lan")
	if err := l.SetLink(t.Context(), "lte", CarrierOn); err != nil {
		t.Fatal(err)
	}
	wantCarrier(t, l, "lte", CarrierOn)
	wantEcho(t, l, "lte")
	wantTexts(t, awaitChanges(t, f, 2), "hand: lte down", "hand: lte up")
}

func TestLinkIsCutByHand(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay}).Lab
	if lab.state.Conductor != nil {
		t.Error("a lab without events has a conductor")
	}
	cutByHand(t, lab)
	for what, err := range map[string]error{
		"a link without a wire": lab.SetLink(t.Context(), "lan", CarrierOff),
		"an unknown link":       lab.SetLink(t.Context(), "dsl", CarrierOff),
		"a node that is no NAT": lab.Rebind(t.Context(), "client"),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// playEvents plays eventful's timeline, twice.
func playEvents(t *testing.T, l *Lab) {
	t.Helper()
	for round := range 2 {
		if round > 0 {
			if err := l.Arm(t.Context(), 1<<32); err != nil {
				t.Fatal(err)
			}
			wantCarrier(t, l, "lte", CarrierOn)
		}
		f, err := l.Follow()
		if err != nil {
			t.Fatal(err)
		}
		wantEcho(t, l, "lte") // which is no reason for the clock to start
		if clock, err := l.Clock(t.Context()); err != nil || clock.Running {
			t.Errorf("clock = %+v, %v, want it to wait for its start", clock, err)
		}
		if err := l.StartClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.StartClock(t.Context()); !errors.Is(err, ErrClockRuns) {
			t.Errorf("second StartClock = %v, want ErrClockRuns", err)
		}
		changes := awaitChanges(t, f, 3)
		wantTexts(t, changes, "timeline: clock started", "timeline: lte up: rate=5mbit", "timeline: lte down")
		start, rate, down := changes[0], changes[1], changes[2]
		for _, e := range []journal.Entry{rate, down} {
			if *e.Since != time.Duration(e.At-start.At) || e.Late < 0 || *e.Since-e.Late > 200*time.Millisecond {
				t.Errorf("%s at %v after the start, %v late; its plan is 100 or 200 ms", e.Text(), *e.Since, e.Late)
			}
		}
		wantCarrier(t, l, "lte", CarrierOff)
	}
}

func testNetemTimeline(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: eventful(), Name: name, Backend: BackendNetem}).Lab
	playEvents(t, lab)
	if got := kernelRate(t, lab, "up"); got != 5e6 {
		t.Errorf("the kernel's rate up is %d, want the timeline's 5 Mbit/s", got)
	}
	force, err := lab.InForce(t.Context())
	if err != nil || len(force) != 2 || force[0].Impairments.Rate != 5e6 || force[1].Impairments.Rate != 20e6 {
		t.Errorf("InForce = %+v, %v, want 5 up and 20 down", force, err)
	}
	if err := lab.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := kernelRate(t, lab, "up"); got != 10e6 {
		t.Errorf("the kernel's rate up is %d after Arm, want the file's 10 Mbit/s", got)
	}
	cutByHand(t, lab)
	wantConductorWatched(t, h, lab)
}

// kernelRate reads a direction's rate back from the kernel.
func kernelRate(t *testing.T, l *Lab, way string) emulation.Rate {
	t.Helper()
	ns, err := l.openNamespace(WireNamespace(l.Name(), "lte"))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	ports, err := netemPorts(ns, l.Topology().Links[0])
	if err != nil {
		t.Fatal(err)
	}
	state, err := netem.Read(ports[map[string]int{"up": 1, "down": 0}[way]])
	if err != nil {
		t.Fatal(err)
	}
	return state.Impairments.Rate
}

// wantConductorWatched kills the lab's conductor, and looks at who notices.
func wantConductorWatched(t *testing.T, h Host, l *Lab) {
	t.Helper()
	ref := l.state.Conductor
	if status, err := h.Status(t.Context(), l.Name()); err != nil || status.Conductor != ref.PID || status.Broken != "" {
		t.Errorf("status = %+v, %v, want it whole, with the conductor's pid %d", status, err, ref.PID)
	}
	info, err := os.Stat(h.conductorSocket(l.Name()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the conductor's socket: %v, %v, want it for root alone", info, err)
	}
	if err := unix.Kill(ref.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for ref.alive() {
		time.Sleep(time.Millisecond)
	}
	status, err := h.Status(t.Context(), l.Name())
	if err != nil || !strings.Contains(status.Broken, "conductor process died") {
		t.Errorf("status = %q, %v, want it to say that the conductor died", status.Broken, err)
	}
	if err := l.StartClock(t.Context()); err == nil || !strings.Contains(err.Error(), "has it ended") {
		t.Errorf("StartClock without the conductor = %v, want it to say so", err)
	}
	reaped, err := h.Reap(t.Context())
	if err != nil || len(reaped) != 1 {
		t.Errorf("Reap = %+v, %v, want it to take the lab", reaped, err)
	}
	wantNothing(t, h, l.Name())
}

// testNetemImpair changes a lab that has no conductor.
func testNetemImpair(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendNetem}).Lab
	f, err := lab.Follow()
	if err != nil {
		t.Fatal(err)
	}
	loss := emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: 1}}
	if err := lab.Impair(t.Context(), []Setting{{"lte", "up", loss}, {"lte", "", ratePatch(3e6)}}); err != nil {
		t.Fatal(err)
	}
	if n := sendNumbered(t, lab, "lte", 5); n != 0 {
		t.Errorf("%d of 5 datagrams came through, want all lost", n)
	}
	loss.Values.Loss = 0
	if err := lab.Impair(t.Context(), []Setting{{"lte", "", loss}}); err != nil {
		t.Fatal(err)
	}
	wantEcho(t, lab, "lte")
	if up, down := kernelRate(t, lab, "up"), kernelRate(t, lab, "down"); up != 3e6 || down != 3e6 {
		t.Errorf("rates %d and %d, want 3 Mbit/s from the first change both ways", up, down)
	}
	hole := emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}
	if err := lab.Impair(t.Context(), []Setting{{"lte", "down", hole}}); err != nil {
		t.Fatal(err)
	}
	wantCarrier(t, lab, "lte", CarrierOn)
	if n := sendNumbered(t, lab, "lte", 3); n != 3 {
		t.Errorf("%d of 3 datagrams came through beside a black hole the other way", n)
	}
	hole.Values.Blackhole = false
	if err := lab.Impair(t.Context(), []Setting{{"lte", "", hole}}); err != nil {
		t.Fatal(err)
	}
	wantEcho(t, lab, "lte")
	bad := emulation.Patch{Fields: emulation.FieldMTU, Values: emulation.Impairments{MTU: 100}}
	for what, settings := range map[string][]Setting{
		"beyond netem":          {{"lte", "up", ratePatch(1e6)}, {"lte", "down", bad}},
		"a link without a wire": {{"lte", "up", ratePatch(1e6)}, {"lan", "", ratePatch(1e6)}},
		"nothing":               {{"lte", "up", emulation.Patch{}}},
		"sideways":              {{"lte", "sideways", ratePatch(1e6)}},
	} {
		if err := lab.Impair(t.Context(), settings); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if got := kernelRate(t, lab, "up"); got != 3e6 {
		t.Errorf("rate up is %d after changes that were refused, want what was", got)
	}
	wantTexts(t, awaitChanges(t, f, 5), "hand: lte up: loss=100%", "hand: lte: rate=3mbit", "hand: lte: loss=0%",
		"hand: lte down: blackhole=true", "hand: lte: blackhole=false")
	if err := lab.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if up, down := kernelRate(t, lab, "up"), kernelRate(t, lab, "down"); up != 10e6 || down != 20e6 {
		t.Errorf("rates %d and %d after Arm, want the file's", up, down)
	}
	force, err := lab.InForce(t.Context())
	if err != nil || fmt.Sprint(force) != fmt.Sprint(lab.base()) {
		t.Errorf("InForce after Arm = %v, %v, want the file's", force, err)
	}
	if err := lab.StartClock(t.Context()); !errors.Is(err, ErrNoClock) {
		t.Errorf("StartClock = %v, want ErrNoClock", err)
	}
	cutByHand(t, lab)
}

// quietFor checks that nothing of the kernel's own starts the clock.
func quietFor(t *testing.T, l *Lab) {
	t.Helper()
	time.Sleep(1500 * time.Millisecond) // multicast reports used to come within a second
	if clock, err := l.Clock(t.Context()); err != nil || clock.Running {
		t.Errorf("clock = %+v, %v, want it to wait for a packet", clock, err)
	}
}

// playFirstPacket: a lab whose clock starts with the first packet is quiet until
// somebody sends, also behind a link that was cut.
func playFirstPacket(t *testing.T, l *Lab) {
	t.Helper()
	quietFor(t, l)
	f, err := l.Follow()
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, l, "lte")
	wantTexts(t, awaitChanges(t, f, 3), "timeline: clock started", "timeline: lte up: rate=5mbit", "timeline: lte down")
	if err := l.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	quietFor(t, l)
	wantEcho(t, l, "lan") // which has no wire
	if clock, err := l.Clock(t.Context()); err != nil || clock.Running {
		t.Errorf("clock = %+v, %v, want it to wait", clock, err)
	}
}

func testNetemFirstPacket(t *testing.T) {
	h, name := newHost(t), uniqueName()
	top := eventful()
	top.Start = topologies.StartFirstPacket
	playFirstPacket(t, mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendNetem}).Lab)
}
