package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/calibrate"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// everyProfile is a lab with a link of each profile between two nodes.
func everyProfile() topologies.Topology {
	t := topologies.Topology{Name: "profiles", Seed: 1, Nodes: []topologies.Node{{Name: "client"}, {Name: "server"}}}
	for i, p := range topologies.Profiles() {
		address := func(end int) []netip.Prefix {
			return []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.77.%d.%d/24", i, end))}
		}
		t.Links = append(t.Links, topologies.Link{
			Name: p.Name, Profile: p.Name, Endpoints: [2]string{"client", "server"}, MTU: 1500, Up: p.Up, Down: p.Down,
			Addresses: [2][]netip.Prefix{address(1), address(2)},
		})
	}
	return t
}

// calibrateTries is how often a direction may be measured until all of its figures
// pass: other work on the machine can spoil a measurement, never make a wrong wire
// pass.
const calibrateTries = 4

// mustCalibrate measures the lab's links until each passes, and reports those that do
// not.
func mustCalibrate(t *testing.T, l *Lab, f calibrate.Form) {
	t.Helper()
	var left []string
	for try := range calibrateTries {
		verdicts, err := l.Calibrate(t.Context(), CalibrateConfig{Form: f, Links: left})
		if err != nil {
			t.Fatal(err)
		}
		left = nil
		for _, v := range verdicts {
			// How late the relay is, the machine decides, and other tests run on it, too.
			if missed := v.Missed(); len(missed) == 0 || slices.Equal(missed, []string{"lateness"}) {
				continue
			}
			t.Logf("try %d: %s", try+1, verdictText(v))
			if !slices.Contains(left, v.Link) {
				left = append(left, v.Link)
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("not as asked for, %d times in a row: %s", calibrateTries, strings.Join(left, ", "))
}

func verdictText(c results.Calibration) string {
	text := c.Link + " " + c.Direction + ":"
	for _, check := range c.Checks {
		if !check.OK {
			text += fmt.Sprintf(" %s is %g %s, passes from %g to %g;", check.Name, check.Got, check.Unit, check.Low, check.High)
		}
	}
	return text
}

// TestAccuracy holds the lab's links of every profile to their word as `calibrate` does.
// The backends' own tests hold them longer and to more: TestProfiles in emulation/relay.
func TestAccuracy(t *testing.T) {
	h := newHost(t)
	lab := mustUp(t, h, UpConfig{Topology: everyProfile(), Name: uniqueName(), Backend: BackendRelay}).Lab
	f := calibrate.Full()
	f.Stream, f.Train = 2*time.Second, time.Second // what the statistics of these losses need
	mustCalibrate(t, lab, f)
}

// testNetemCalibrates shows that the measuring works there, too; emulation/netem's own
// tests hold it to its word.
func testNetemCalibrates(t *testing.T) {
	h, name := newHost(t), uniqueName()
	top := everyProfile()
	top.Links = slices.DeleteFunc(top.Links, func(l topologies.Link) bool { return l.Name != "lte" && l.Name != "wifi" })
	lab := mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendNetem}).Lab
	mustCalibrate(t, lab, calibrate.Short())
}

// TestCalibrateFindsWhatIsNotAsAsked raises one thing and asks for another.
func TestCalibrateFindsWhatIsNotAsAsked(t *testing.T) {
	h := newHost(t)
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: uniqueName(), Backend: BackendRelay}).Lab
	wrong := *lab
	links := slices.Clone(wrong.state.Topology.Links)
	links[0].Up = emulation.Impairments{Rate: 11e6, Delay: 8 * time.Millisecond, Loss: 0.2}
	links[0].Down = emulation.Impairments{Rate: 20e6, Delay: 5 * time.Millisecond, MTU: 1300, Duplicate: 0.2}
	wrong.state.Topology.Links = links
	verdicts, err := wrong.Calibrate(t.Context(), CalibrateConfig{Form: calibrate.Short()})
	if err != nil || len(verdicts) != 2 {
		t.Fatalf("Calibrate = %+v, %v, want the two directions of the impaired link", verdicts, err)
	}
	for i, want := range [][]string{{"delay", "rate", "loss"}, {"mtu", "duplicated"}} {
		v := verdicts[i]
		if v.OK {
			t.Errorf("%s %s passes", v.Link, v.Direction)
		}
		for _, name := range want {
			if !slices.Contains(v.Missed(), name) {
				t.Errorf("%s %s misses %v, want %s among them", v.Link, v.Direction, v.Missed(), name)
			}
		}
	}
}

func TestCalibrateRefusals(t *testing.T) {
	h := newHost(t)
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: uniqueName(), Backend: BackendRelay}).Lab
	for name, want := range map[string]string{"lan": "has no wire", "dsl": "no link"} {
		if _, err := lab.Calibrate(t.Context(), CalibrateConfig{Links: []string{name}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", name, err, want)
		}
	}
}

func TestProbeGroups(t *testing.T) {
	link := func(rate emulation.Rate) topologies.Link {
		return topologies.Link{Up: emulation.Impairments{Rate: rate}, Down: emulation.Impairments{Rate: rate}}
	}
	got := fmt.Sprint(probeGroups([]topologies.Link{link(50e6), link(100e6), link(100e6), link(1e9), link(0), link(10e6)}))
	if want := "[[0 1] [2] [3] [4 5]]"; got != want {
		t.Errorf("groups %s, want %s", got, want)
	}
	if got := probeGroups(nil); got != nil {
		t.Errorf("no links are %v, want no groups", got)
	}
}
