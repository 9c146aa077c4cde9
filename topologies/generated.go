package topologies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/trace"
)

// generated makes a trace, or steps of the window's length where that is not 0.
func (d *decoder) generated(f *fileGenerator, window time.Duration, by origin) *traced {
	if f.model.state != good || f.duration.state == bad || f.seed.state == bad || f.mean.state == bad {
		return nil
	}
	key := madeKey{trace.Settings{
		Model:    trace.Model(f.model.value),
		Duration: f.duration.or(defaultGenerated),
		Seed:     f.seed.or(by.generatorSeed()),
		Mean:     f.mean.or(0),
	}, window}
	t := d.traces.made[key]
	if t == nil {
		t = d.traces.make(key)
		if d.traces.made == nil {
			d.traces.made = map[madeKey]*traced{}
		}
		d.traces.made[key] = t
	}
	if !d.use(f.model.place, t, by, TraceFile{Kind: TraceGenerated, Source: key.String()}) {
		return nil
	}
	return t
}

// String returns the settings as a file has them.
func (k madeKey) String() string {
	s := fmt.Sprintf("generate: %s, duration: %s, seed: %d", plain(string(k.Model)), FormatTime(k.Duration), k.Seed)
	if k.Mean != 0 {
		s += ", mean: " + FormatRate(k.Mean)
	}
	if k.window != 0 {
		s += ", window: " + FormatTime(k.window)
	}
	return s
}

func (s *traces) make(key madeKey) *traced {
	if s.generated += key.Duration; s.generated > maxGenerated {
		return &traced{problems: []Problem{{Text: "the generated traces of this topology are too long in all", Expected: "at most " + FormatTime(maxGenerated) + "; links with the same generator and seed share theirs"}}}
	}
	t := &traced{}
	var err error
	if key.window == 0 {
		var got emulation.Trace
		if got, err = key.Trace(); err == nil {
			sum := sha256.New()
			err = trace.WriteMahimahi(sum, got)
			t.trace, t.sha256 = &got, hex.EncodeToString(sum.Sum(nil))
			t.problems = s.count(len(got))
		}
	} else if t.steps, err = key.Steps(key.window); err == nil {
		sum := sha256.New()
		for _, step := range t.steps.Steps {
			fmt.Fprintf(sum, "%d,%d\n", step.At, step.Rate)
		}
		t.sha256 = hex.EncodeToString(sum.Sum(nil))
		t.problems = s.count(stepWeight * len(t.steps.Steps))
	}
	t.problems = append(fileProblems(err), t.problems...)
	return t
}

// generatorSeed is a seed of the direction's own. It has 32 bits, to be readable.
func (o origin) generatorSeed() uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "tquiclab generator %d %s %s %d", o.seed, o.link, o.way, o.event))
	return uint64(binary.BigEndian.Uint32(sum[:]))
}
