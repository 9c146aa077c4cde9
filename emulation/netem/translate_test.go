package netem

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestLimit(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		mtu  int
		want uint32
	}{
		{"nothing", emulation.Impairments{}, 1500, unlimitedQueue + 1},
		{"no rate", emulation.Impairments{Delay: time.Second, Jitter: time.Second}, 1500, unlimitedQueue + 1},
		// 10 Mbit/s carries 10e6 × 0.1 / (8 × 1514) = 82.6 frames in 100 ms.
		{"line, no queue", emulation.Impairments{Rate: 10e6, Delay: 100 * ms}, 1500, 83 + unlimitedQueue + 1},
		{"packets", emulation.Impairments{Rate: 10e6, Delay: 100 * ms, Queue: emulation.Queue{Packets: 7}}, 1500, 83 + 7 + 1},
		{"jitter", emulation.Impairments{Rate: 10e6, Delay: 60 * ms, Jitter: 40 * ms, Queue: emulation.Queue{Packets: 7}}, 1500, 83 + 7 + 1},
		{"time", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Time: 100 * ms}}, 1500, 82 + 1},
		{"bytes", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 3 * 1514}}, 1500, 3 + 1},
		{"bytes, not quite", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 3*1514 - 1}}, 1500, 2 + 1},
		{"no room to wait", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 100}}, 1500, 1},
		{"whole frames", emulation.Impairments{Rate: 1514 * 8, Delay: 3 * time.Second, Queue: emulation.Queue{Packets: 1}}, 1500, 3 + 1 + 1},
		{"jumbo", emulation.Impairments{Rate: 10e6, Delay: 100 * ms, Queue: emulation.Queue{Packets: 7}}, 9000, 14 + 7 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := limit(c.imp, c.mtu)
			if err != nil || got != c.want {
				t.Errorf("limit of %+v at mtu %d: %d, %v, want %d", c.imp, c.mtu, got, err, c.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		mtu  int
		want string // part of the error; "" for none
	}{
		{"nothing", emulation.Impairments{}, 1500, ""},
		{"all that it can", emulation.Impairments{Rate: 1e9, Delay: time.Second, Jitter: time.Second, Loss: 0.5, Queue: emulation.Queue{Bytes: 1e6}, MTU: 1500}, 1500, ""},
		{"not valid", emulation.Impairments{Delay: -1}, 1500, "negative"},
		{"every n-th", emulation.Impairments{LoseEvery: 3, Duplicate: 0.1}, 1500, "cannot do loss of every n-th: "},
		{"smaller mtu", emulation.Impairments{MTU: 1400}, 1500, "--backend relay"},
		{"no mtu", emulation.Impairments{}, 0, "not positive"},
		{"wide jitter", emulation.Impairments{Delay: 3 * time.Second, Jitter: maxJitter + 1}, 1500, "jitter"},
		{"too slow", emulation.Impairments{Rate: 7}, 1500, "starts at 8 bit/s"},
		{"too fast", emulation.Impairments{Rate: unlimitedRate}, 1500, "ends below"},
		{"long line", emulation.Impairments{Rate: 1e11, Delay: time.Hour}, 1500, "more than netem's limit takes"},
		{"longest line", emulation.Impairments{Rate: 9e11, Delay: math.MaxInt64}, 1500, "is longer than"},
		{"long queue", emulation.Impairments{Rate: 1e9, Queue: emulation.Queue{Packets: math.MaxInt64}}, 1500, "more than netem's limit takes"},
		{"longest queue", emulation.Impairments{Rate: 9e11, Queue: emulation.Queue{Time: math.MaxInt64}}, 1500, "more than netem's limit takes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(c.imp, c.mtu)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Check: %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestFraction(t *testing.T) {
	for _, c := range []struct {
		p    float64
		want uint32
	}{
		{0, 0}, {1e-12, 1}, {0.25, 1 << 30}, {0.5, 1 << 31}, {1 - 1e-12, math.MaxUint32}, {1, math.MaxUint32},
	} {
		if got := fraction(c.p); got != c.want {
			t.Errorf("fraction(%v) = %d, want %d", c.p, got, c.want)
		}
	}
}

// TestTranslationReturns says that what Check lets pass comes back from netem's
// parameters as it went in, but for a rate's last bits, a loss's last digits,
// and the queue, which comes back in packets.
func TestTranslationReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mtu := rapid.IntRange(68, 65_535).Draw(t, "mtu")
		imp := emulation.Impairments{
			Rate:  emulation.Rate(rapid.Int64Range(0, int64(unlimitedRate)).Draw(t, "rate")),
			Delay: time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "delay")),
			Loss:  rapid.Float64Range(0, 1).Draw(t, "loss"),
		}
		imp.Jitter = time.Duration(rapid.Int64Range(0, int64(min(imp.Delay, maxJitter))).Draw(t, "jitter"))
		if imp.Rate > 0 {
			imp.Queue.Packets = rapid.IntRange(0, unlimitedQueue-1).Draw(t, "queue")
		}
		if Check(imp, mtu) != nil {
			return
		}
		n, err := translate(imp, mtu, 1)
		if err != nil {
			t.Fatalf("Check passed %+v, translate did not: %v", imp, err)
		}
		if n.limit == 0 {
			t.Fatalf("limit 0: nothing would pass")
		}
		if imp.Jitter > 0 && n.rate.bytes == 0 {
			t.Fatalf("jitter without a rate: netem would reorder")
		}
		got, err := impairments(&n, mtu)
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Rate - imp.Rate; d < -4 || d > 4 {
			t.Errorf("rate %d came back as %d", imp.Rate, got.Rate)
		}
		if math.Abs(got.Loss-imp.Loss) > 1.0/(1<<32) {
			t.Errorf("loss %v came back as %v", imp.Loss, got.Loss)
		}
		// The line is worked out from the rate that is set: 4 bit/s in 20 s are less
		// than one frame.
		if d := got.Queue.Packets - imp.Queue.Packets; imp.Jitter == 0 && (d < -1 || d > 1) {
			t.Errorf("queue %d came back as %d", imp.Queue.Packets, got.Queue.Packets)
		}
		if got.Delay != imp.Delay || got.Jitter != imp.Jitter {
			t.Errorf("%+v came back as %+v", imp, got)
		}
	})
}

func TestStands(t *testing.T) {
	want, err := translate(emulation.Impairments{Rate: 1e6, Delay: time.Second, Loss: 0.1}, 1500, 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := stands(want, want); err != nil {
		t.Errorf("what was set: %v", err)
	}
	old := want
	old.seed, old.seeded = 0, false
	if err := stands(old, want); err != nil {
		t.Errorf("a kernel without a seed: %v", err)
	}
	other := want
	other.limit, other.seed, other.slot.packets, other.model.kind = 1000, 8, 1, lossFourState
	err = stands(other, want)
	for _, part := range []string{"limit is 1000", "seed is 8", "slot is", "loss model is"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	other.nanoseconds = false
	if err := stands(other, want); err == nil || !strings.Contains(err.Error(), "4.16") {
		t.Errorf("a kernel without LATENCY64: %v", err)
	}
}
