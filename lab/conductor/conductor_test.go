package conductor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/topologies"
)

// show is a conductor in virtual time, on a stage of paper.
type show struct {
	t    *testing.T
	c    *Conductor
	now  func() int64
	stop func()

	mu      sync.Mutex
	done    []string          // what the stage was told, with the time since the show began
	seeds   map[string]uint64 // the latest of each direction
	broken  map[string]error  // what the stage refuses, by its text
	packets uint64
	entries []journal.Entry
}

// play begins a show. The clock is the conductor's own.
func play(t *testing.T, spec Spec) *show {
	t.Helper()
	began := time.Now()
	s := &show{
		t: t, seeds: map[string]uint64{}, broken: map[string]error{},
		now: func() int64 { return 1e9 + int64(time.Since(began)) },
	}
	clock, err := NewOwnClock(spec.Start, func() (uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.packets, nil
	}, s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.c = New(Config{Spec: spec, Stage: s, Clock: clock, Now: s.now, Record: s.record, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.c.Run(ctx) })
	s.stop = func() {
		cancel()
		running.Wait()
	}
	return s
}

func (s *show) act(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken[text]; err != nil {
		return err
	}
	s.done = append(s.done, fmt.Sprintf("%v %s", time.Duration(s.now()-1e9), text))
	return nil
}

func (s *show) SetLink(link string, c Carrier) error { return s.act(link + " " + string(c)) }

func (s *show) Rebind(node string) error { return s.act(node + " rebind") }

func (s *show) Impair(link, way string, imp emulation.Impairments, seed uint64) error {
	s.mu.Lock()
	s.seeds[link+" "+way] = seed
	s.mu.Unlock()
	return s.act(fmt.Sprintf("%s %s %dk", link, way, imp.Rate/1000))
}

func (s *show) record(e journal.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
	return nil
}

// send lets a packet come by.
func (s *show) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packets++
}

// pass lets time go by.
func (s *show) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want says what has happened since it was asked last.
func (s *show) want(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.done, want) {
		s.t.Errorf("the stage saw\n  %s\nwant\n  %s", strings.Join(s.done, "\n  "), strings.Join(want, "\n  "))
	}
	s.done = nil
}

// wantJournal is the same for the journal, without times.
func (s *show) wantJournal(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, e := range s.entries {
		got = append(got, string(e.By)+": "+e.Text())
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("the journal has\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	s.entries = nil
}

func (s *show) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

func TestConductorWaitsForTheFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		s.pass(5 * second)
		s.want()
		s.send()
		s.pass(3100 * time.Millisecond)
		s.want("6.002s lte up 5000k", "7.002s lte off", "8.002s lte on")
		s.wantJournal("timeline: clock started", "timeline: lte up: rate=5mbit", "timeline: lte down", "timeline: lte up")
	})
}

func TestJournalSaysHowLateAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		s.pass(5*second + time.Millisecond) // within two polls
		s.send()
		s.pass(2500 * time.Millisecond)
		start, rate := s.entries[0], s.entries[1]
		if start.At != 1e9+5002e6 || start.Late != 2*time.Millisecond || *start.Since != 0 {
			t.Errorf("start = %+v, want it at 5.002 s, known to 2 ms", start)
		}
		if *rate.Since != second || rate.Late != 0 || rate.At != start.At+1e9 {
			t.Errorf("the rate's change = %+v, want it 1 s after the start and in time", rate)
		}
	})
}

func TestStartsOfTheClock(t *testing.T) {
	for _, tt := range []struct {
		kind  topologies.Start
		first string // what is done in the first 1.5 s, packets or not
	}{
		{topologies.StartUp, "1s lte up 5000k"},
		{topologies.StartManual, ""},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spec := testSpec()
				spec.Start = tt.kind
				s := play(t, spec)
				defer s.stop()
				s.send()
				s.pass(1500 * time.Millisecond)
				if tt.first == "" {
					s.want()
					s.must(s.c.Start(t.Context()))
					s.pass(1 * second)
					s.want("2.5s lte up 5000k")
				} else {
					s.want(tt.first)
				}
				if err := s.c.Start(t.Context()); !errors.Is(err, ErrRunning) {
					t.Errorf("Start of a clock that runs = %v, want ErrRunning", err)
				}
				// Armed anew, "up" waits for a packet; "manual" waits on.
				s.must(s.c.Arm(t.Context(), 1))
				s.pass(5 * second)
				s.mu.Lock()
				s.done = nil
				s.mu.Unlock()
				s.send()
				s.pass(1500 * time.Millisecond)
				s.mu.Lock()
				defer s.mu.Unlock()
				if played := len(s.done) > 0; played != (tt.kind == topologies.StartUp) {
					t.Errorf("after Arm and a packet the stage saw %q", s.done)
				}
			})
		})
	}
}

func TestArmPutsEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		s.must(s.c.Start(t.Context()))
		s.pass(2500 * time.Millisecond)
		s.want("1s lte up 5000k", "2s lte off")
		links, err := s.c.Rest(t.Context())
		if err != nil || !slices.Equal(links, []string{"lte"}) {
			t.Errorf("Rest = %v, %v, want lte, which was down", links, err)
		}
		s.pass(10 * second) // the clock stands
		s.want("2.5s lte on")
		s.must(s.c.Arm(t.Context(), 7))
		s.pass(10 * second) // and waits
		s.want("12.5s lte up 10000k", "12.5s lte down 20000k")
		if got, want := s.seeds["lte up"], Seed(7, "lte", "up"); got != want {
			t.Errorf("seed %d after Arm, want %d, that of the round", got, want)
		}
		s.send()
		s.pass(1100 * time.Millisecond)
		s.want("23.502s lte up 5000k")
		s.wantJournal("timeline: clock started", "timeline: lte up: rate=5mbit", "timeline: lte down",
			"hand: clock armed", "timeline: clock started", "timeline: lte up: rate=5mbit")
	})
}

func TestEachChangeHasASeedOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		seen := map[uint64]bool{}
		look := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if seed := s.seeds["lte up"]; seen[seed] {
				t.Errorf("seed %d came again", seed)
			} else {
				seen[seed] = true
			}
		}
		s.must(s.c.Arm(t.Context(), 7))
		look()
		s.must(s.c.Start(t.Context()))
		s.pass(1500 * time.Millisecond)
		look()
		s.pass(4510 * time.Millisecond) // two steps into the ramp
		look()
	})
}

func TestHandWorksBesideTheTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		loss := emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: 0.1}}
		s.must(s.c.Start(t.Context()))
		s.must(s.c.Impair(t.Context(), []Setting{{"lte", "up", ratePatch(1e6)}, {"lte", "up", loss}, {"lte", "down", ratePatch(2e6)}}))
		s.must(s.c.SetLink(t.Context(), "wifi", CarrierOff))
		s.must(s.c.Rebind(t.Context(), "cpe"))
		s.want("0s lte up 1000k", "0s lte down 2000k", "0s wifi off", "0s cpe rebind")
		s.wantJournal("timeline: clock started", "hand: lte up: rate=1mbit", "hand: lte up: loss=10%", "hand: lte down: rate=2mbit",
			"hand: wifi down", "hand: cpe rebind")
		s.pass(1500 * time.Millisecond)
		s.want("1s lte up 5000k")
		status, err := s.c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		up, down := status.InForce[0].Impairments, status.InForce[1].Impairments
		if up.Rate != 5e6 || up.Loss != 0.1 || down.Rate != 2e6 {
			t.Errorf("in force: up %+v, down %+v; want the timeline's rate, the hand's loss, the hand's rate down", up, down)
		}
		if !slices.Equal(status.DownLinks, []string{"wifi"}) || status.Started == nil || *status.Next != 2*second || status.Played != 1 {
			t.Errorf("status = %+v, want wifi down, the clock running, one change played and the next at 2 s", status)
		}
	})
}

func TestImpairIsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		bad := emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: 2}}
		for _, tt := range []struct {
			name     string
			settings []Setting
			want     string
		}{
			{"a value that cannot be", []Setting{{"lte", "up", ratePatch(1e6)}, {"lte", "down", bad}}, "lte down: loss"},
			{"a link that is not there", []Setting{{"lte", "up", ratePatch(1e6)}, {"dsl", "down", ratePatch(1e6)}}, "dsl down"},
			{"a link that the relay has", []Setting{{"lte", "up", ratePatch(1e6)}, {"wifi", "down", ratePatch(1e6)}}, "wifi down"},
			{"a way that is not there", []Setting{{"lte", "sideways", ratePatch(1e6)}}, "sideways"},
		} {
			if err := s.c.Impair(t.Context(), tt.settings); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: Impair = %v, want it to say %q", tt.name, err, tt.want)
			}
			s.want()
		}
		s.broken["lte down 2000k"] = errors.New("the kernel said no")
		err := s.c.Impair(t.Context(), []Setting{{"lte", "up", ratePatch(1e6)}, {"lte", "down", ratePatch(2e6)}})
		if err == nil || !strings.Contains(err.Error(), "the kernel said no") {
			t.Errorf("Impair = %v, want the kernel's reason", err)
		}
		s.want("0s lte up 1000k", "0s lte up 10000k", "0s lte down 20000k")
		s.wantJournal()
		status, err := s.c.Status(t.Context())
		if err != nil || status.InForce[0].Impairments.Rate != 10e6 {
			t.Errorf("in force: %+v, %v, want what was before", status.InForce, err)
		}
	})
}

func TestTheShowGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, testSpec())
		defer s.stop()
		s.broken["lte off"] = errors.New("no such device")
		s.must(s.c.Start(t.Context()))
		s.pass(4500 * time.Millisecond)
		s.want("1s lte up 5000k", "3s lte on", "4s cpe rebind")
		s.wantJournal("timeline: clock started", "timeline: lte up: rate=5mbit", "timeline: lte down failed: no such device",
			"timeline: lte up", "timeline: cpe rebind")
		status, err := s.c.Status(t.Context())
		if err != nil || status.Failures != 1 || !strings.Contains(status.Failure, "no such device") {
			t.Errorf("status = %+v, %v, want one failure with its reason", status, err)
		}
	})
}

// A stage that takes longer than the changes are apart gets the latest only.
func TestChangesThatAreDueTogetherAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := testSpec()
		spec.Operations = nil
		spec.Wires[0].UpTimeline = emulation.Timeline{
			{At: 0, Every: 2 * time.Millisecond, Patch: ratePatch(1e6)},
			{At: time.Millisecond, Every: 2 * time.Millisecond, Patch: ratePatch(2e6)},
		}
		s := play(t, spec)
		defer s.stop()
		slow := slowStage{s}
		s.c.Stage = slow
		s.must(s.c.Start(t.Context()))
		s.pass(1 * second)
		s.mu.Lock()
		n, lines := len(s.done), len(s.entries)
		s.mu.Unlock()
		if n < 95 || n > 101 {
			t.Errorf("%d changes applied in 1 s at 10 ms each, want about 100", n)
		}
		if lines < 950 {
			t.Errorf("%d lines in the journal, want one for each of about 1000 changes", lines)
		}
		status, err := s.c.Status(t.Context())
		if err != nil || status.LateMax > 25*time.Millisecond {
			t.Errorf("late by %v at most, %v, want two slow changes at most", status.LateMax, err)
		}
	})
}

// Links that are to go down and up faster than the kernel does it never make the
// conductor fall behind for good, nor deaf.
func TestOperationsThatCannotBeKeptUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := testSpec()
		spec.Wires[0].UpTimeline = nil
		spec.Operations = []topologies.Operation{
			{At: 0, Every: 2 * time.Millisecond, Kind: topologies.EventDown, Link: "lte"},
			{At: time.Millisecond, Every: 2 * time.Millisecond, Kind: topologies.EventUp, Link: "lte"},
		}
		s := play(t, spec)
		defer s.stop()
		s.c.Stage = slowStage{s}
		s.must(s.c.Start(t.Context()))
		s.pass(1 * second)
		began := time.Now()
		status, err := s.c.Status(t.Context())
		if waited := time.Since(began); err != nil || waited > 30*time.Millisecond {
			t.Errorf("the status took %v, %v, want two slow operations at most", waited, err)
		}
		if status.LateMax > 50*time.Millisecond || status.LeftOut < 800 {
			t.Errorf("late by %v at most, %d turns left out; want some 30 ms and nine of ten", status.LateMax, status.LeftOut)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.ContainsFunc(s.entries, func(e journal.Entry) bool { return strings.Contains(e.Error, "were left out") }) {
			t.Error("the journal does not say what was left out")
		}
	})
}

// slowStage takes its time.
type slowStage struct{ *show }

func (s slowStage) SetLink(link string, c Carrier) error {
	time.Sleep(10 * time.Millisecond)
	return s.show.SetLink(link, c)
}

func (s slowStage) Impair(link, way string, imp emulation.Impairments, seed uint64) error {
	time.Sleep(10 * time.Millisecond)
	return s.show.Impair(link, way, imp, seed)
}
