package lab

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/emulation/netem/uml"
)

// TestInUserModeLinux raises a lab with backend netem, in a kernel that has it.
func TestInUserModeLinux(t *testing.T) {
	if uml.Inside() {
		t.Run("up", testNetemUp)
		t.Run("auto", testNetemIsTheFirstChoice)
		t.Run("timeline", testNetemTimeline)
		t.Run("first-packet", testNetemFirstPacket)
		t.Run("impair", testNetemImpair)
		t.Run("calibrate", testNetemCalibrates)
		t.Run("watch", testNetemWatch)
		return
	}
	uml.Run(t, uml.Config{
		Test:    "^TestInUserModeLinux$",
		Modules: []string{"veth", "bridge", "sch_netem"},
		Nice:    -15, // calibrate measures times: the machine's timers are no better than its share of the CPU
	})
}

func testNetemUp(t *testing.T) {
	h, name := newHost(t), uniqueName()
	top := twoLinks()
	top.Links[0].Up.Loss = 0.5
	lab := mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendNetem}).Lab
	wantEcho(t, lab, "lan")
	const sent = 400
	received := sendNumbered(t, lab, "lte", sent)
	wires, err := lab.Wires(t.Context())
	if err != nil || len(wires) != 1 {
		t.Fatalf("Wires() = %+v, %v", wires, err)
	}
	// Half of 400: 99.99 % of the time within 161 to 239.
	if received < 150 || received > 250 {
		t.Errorf("%d of %d datagrams arrived, want about half", received, sent)
	}
	up := wires[0].Up
	if up.PassedPackets < uint64(received) || up.DroppedPackets() < uint64(sent-received) {
		t.Errorf("up counters = %+v, want at least %d passed and %d dropped", up, received, sent-received)
	}
	if down := wires[0].Down; down.DroppedPackets() != 0 {
		t.Errorf("down counters = %+v, want no drop: the loss was asked for up", down)
	}
	if _, err := h.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, h, name)
}

func testNetemIsTheFirstChoice(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	if lab.Backend() != BackendNetem {
		t.Errorf("backend auto took %s, want netem where the kernel has it", lab.Backend())
	}
	wantEcho(t, lab, "lte")
}

// testNetemWatch: rates and what is held are seen; a queue is not told apart.
func testNetemWatch(t *testing.T) {
	h, name := newHost(t), uniqueName()
	l := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendNetem}).Lab
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go flood(ctx, t, l, "10.77.0.2:9")
	var up Flow
	enough := errors.New("enough")
	samples := 0
	err := l.Watch(t.Context(), 200*time.Millisecond, func(s Sample) error {
		up = s.Flows[0]
		if samples++; samples == 50 || up.RateBPS > 5e6 && up.RateBPS < 15e6 && up.HeldPackets > 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || samples == 50 || up.Queue != nil || up.Link != "lte" {
		t.Errorf("Watch = %v; after %d samples lte up is %+v, want about 10 Mbit/s, packets held, and no queue", err, samples, up)
	}
}

// TestNetemWhereTheKernelHasNone says what to do, and auto takes the relay.
func TestNetemWhereTheKernelHasNone(t *testing.T) {
	if _, err := netem.Probe(); !errors.Is(err, netem.ErrNotSupported) {
		t.Logf("this kernel has netem (%v); TestInUserModeLinux covers it", err)
		return
	}
	h := newHost(t)
	_, err := h.Up(t.Context(), UpConfig{Topology: twoLinks(), Name: uniqueName(), Backend: BackendNetem})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "--backend relay") {
		t.Errorf("Up with netem = %v, want ErrUnsupported and the way out", err)
	}
	if got, err := h.Backend(twoLinks(), BackendAuto); got != BackendRelay || err != nil {
		t.Errorf("auto = %s, %v, want relay", got, err)
	}
	direct := twoLinks()
	direct.Links = direct.Links[1:]
	if got, err := h.Backend(direct, BackendAuto); got != BackendDirect || err != nil {
		t.Errorf("auto without impaired links = %s, %v, want direct", got, err)
	}
}
