package lab

import (
	"errors"
	"strings"
	"testing"

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
