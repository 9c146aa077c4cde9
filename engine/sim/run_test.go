package sim

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// fast is a link of 40 and 20 Mbit/s with 20 ms of round trip.
func fast() Link {
	queue := emulation.Queue{Time: 60 * time.Millisecond}
	return Link{
		Name: "fast", Up: emulation.Impairments{Rate: 20e6, Delay: 10 * time.Millisecond, Queue: queue},
		Down:   emulation.Impairments{Rate: 40e6, Delay: 10 * time.Millisecond, Queue: queue},
		Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"),
	}
}

// noisy is fast with loss and jitter both ways.
func noisy() Link {
	l := fast()
	l.Up.Loss, l.Down.Loss = 0.01, 0.01
	l.Up.Jitter, l.Down.Jitter = 2*time.Millisecond, 2*time.Millisecond
	return l
}

func v6Address() netip.Addr { return netip.MustParseAddr("fd00::1") }

// download is a transfer of so many bytes from the server.
func download(l Link, bytes int64) Config {
	return Config{Links: []Link{l}, Seed: 1, Bulk: workload.Bulk{Seed: 2, Bytes: bytes, Streams: 1}, Sender: Server, Bound: time.Hour}
}

func TestTransfers(t *testing.T) {
	v6, small := fast(), fast()
	v6.Client, v6.Server = v6Address(), v6Address().Next()
	small.MTU = 1300
	with := func(c Config, f func(*Config)) Config { f(&c); return c }
	tests := []struct {
		name    string
		config  Config
		atLeast float64 // goodput, bit/s
		rate    float64 // of the link
	}{
		{"down", download(fast(), 5<<20), 28e6, 40e6},
		{"up", with(download(fast(), 3<<20), func(c *Config) { c.Sender = Client }), 14e6, 20e6},
		{"over IPv6", download(v6, 2<<20), 20e6, 40e6},
		{"over a small MTU", download(small, 2<<20), 20e6, 40e6},
		{"with loss and jitter", download(noisy(), 2<<20), 3e6, 40e6},
		{"streams and connections", with(download(fast(), 3_000_003), func(c *Config) { c.Bulk.Streams, c.Connections = 3, 2 }), 20e6, 40e6},
		{"more streams than a peer allows by default", with(download(fast(), 1<<20), func(c *Config) { c.Bulk.Streams = 150 }), 10e6, 40e6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Run(t.Context(), tt.config)
			if err != nil || r.Err() != nil {
				t.Fatalf("%v, %v", err, r.Err())
			}
			if want := tt.config.Bulk.Bytes; r.Receiver.Bytes != want || r.Sender.Bytes != want {
				t.Errorf("sent %d, received %d bytes; want %d", r.Sender.Bytes, r.Receiver.Bytes, want)
			}
			if g := r.Goodput(); g < tt.atLeast || g > tt.rate {
				t.Errorf("goodput %.1f Mbit/s, want %.1f to the link's %.1f", g/1e6, tt.atLeast/1e6, tt.rate/1e6)
			}
			checkCounts(t, tt.config, r)
		})
	}
}

// checkCounts holds what the links counted against what the hosts know.
func checkCounts(t *testing.T, c Config, r Report) {
	t.Helper()
	data, acks := r.Links[0].Down, r.Links[0].Up
	if c.Sender == Client {
		data, acks = acks, data
	}
	if data.DepartedBytes <= uint64(r.Receiver.Bytes) || acks.DepartedBytes*5 > data.DepartedBytes {
		t.Errorf("%d bytes of frames with the data, %d back, for %d bytes of payload", data.DepartedBytes, acks.DepartedBytes, r.Receiver.Bytes)
	}
	var lost, sent uint64
	for _, s := range r.Stats {
		lost += s.Paths[0].LostPackets
		sent += s.Paths[0].SentPackets
		if s.Paths[0].Link != "fast" || s.Paths[0].SRTT < 20*time.Millisecond {
			t.Errorf("the sender's path: %+v, want an RTT of 20 ms or more over fast", s.Paths[0])
		}
	}
	// A packet may be taken for lost that only came late, and a probe of the MTU counts
	// as lost on no one's side: the counts agree but for a few.
	if dropped := data.DroppedPackets(); lost+20 < dropped || lost > dropped+dropped/4+20 {
		t.Errorf("the link dropped %d packets, the sender takes %d for lost", dropped, lost)
	}
	if len(r.Stats) != max(c.Connections, 1) || sent < data.ArrivedPackets*9/10 {
		t.Errorf("%d connections sent %d packets, the link saw %d", len(r.Stats), sent, data.ArrivedPackets)
	}
}

func TestSendsForAsLongAsAsked(t *testing.T) {
	c := download(fast(), 0)
	c.Bulk.Duration = 2 * time.Second
	r, err := Run(t.Context(), c)
	if err != nil || r.Err() != nil {
		t.Fatalf("%v, %v", err, r.Err())
	}
	sent := time.Duration(r.Sender.LastNS - r.Sender.StartNS)
	arrived := time.Duration(r.Receiver.LastNS - r.Sender.StartNS)
	// The send buffer, which is 4 MiB, was full when the time was up: it still arrives.
	if sent < c.Bulk.Duration || arrived < sent || arrived > 4*time.Second {
		t.Errorf("sent for %v, received for %v; want 2 s, and what was buffered", sent, arrived)
	}
	if got, want := r.Goodput(), float64(r.Receiver.Bytes)*8/arrived.Seconds(); math.Abs(got-want) > 1 {
		t.Errorf("goodput %v, want bytes over time, %v", got, want)
	}
}

func TestOneConfigGivesOneReport(t *testing.T) {
	c := download(noisy(), 2<<20)
	c.Bulk.Streams, c.Connections = 2, 2
	var samples [2][]Sample
	var reports [2]Report
	for i := range reports {
		c.Sample = func(s Sample) { samples[i] = append(samples[i], s) }
		var err error
		if reports[i], err = Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(reports[0], reports[1]); diff != "" {
		t.Errorf("two runs of one configuration differ:\n%s", diff)
	}
	if diff := cmp.Diff(samples[0], samples[1]); diff != "" {
		t.Errorf("the samples of two runs of one configuration differ:\n%s", diff)
	}
	c.Seed++
	other, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if other.Links[0] == reports[0].Links[0] {
		t.Error("another seed changed nothing")
	}
}

func TestSamples(t *testing.T) {
	c := download(fast(), 5<<20)
	var samples []Sample
	c.Sample = func(s Sample) { samples = append(samples, s) }
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := int(r.Elapsed / sampleEvery); len(samples) != want {
		t.Errorf("%d samples in %v, want %d", len(samples), r.Elapsed, want)
	}
	var last Sample
	for i, s := range samples {
		if s.At != time.Duration(i+1)*sampleEvery {
			t.Errorf("sample %d is of %v", i, s.At)
		}
		if s.Received < last.Received || s.Received > r.Receiver.Bytes || s.Links[0].Down.DepartedBytes <= uint64(s.Received) {
			t.Errorf("sample %d: %d bytes received after %d, %d on the link", i, s.Received, last.Received, s.Links[0].Down.DepartedBytes)
		}
		last = s
	}
}

func TestRefusals(t *testing.T) {
	timeless, delayed, shaped := fast(), fast(), fast()
	timeless.Up, timeless.Down = emulation.Impairments{}, emulation.Impairments{Loss: 0.1}
	delayed.Up, delayed.Down = emulation.Impairments{Delay: time.Millisecond}, emulation.Impairments{}
	shaped.Up, shaped.Down = emulation.Impairments{Rate: 1e6}, emulation.Impairments{Rate: 1e6}
	tests := []struct {
		name        string
		change      func(*Config)
		want        string
		unsupported bool
	}{
		{"a link without rate and delay", func(c *Config) { c.Links[0] = timeless }, "simulate fast: without rate and delay", true},
		{"one link twice", func(c *Config) { c.Links = append(c.Links, c.Links[0]) }, "has a link of that name", false},
		{"too many links", func(c *Config) { c.Links = slices.Repeat(c.Links, 17) }, "at most 16 paths", true},
		{"no link", func(c *Config) { c.Links = nil }, "no link", false},
		{"no workload", func(c *Config) { c.Bulk = workload.Bulk{} }, "bulk needs", false},
		{"no such side", func(c *Config) { c.Sender = 2 }, "no side 2", false},
		{"less than no connection", func(c *Config) { c.Connections = -1 }, "-1 connections", false},
		{"an unknown congestion control", func(c *Config) { c.Congestion = "warp" }, "warp", false},
		{"delay alone", func(c *Config) { c.Links[0] = delayed }, "", false},
		{"rate alone", func(c *Config) { c.Links[0] = shaped }, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := download(fast(), 1<<16)
			tt.change(&c)
			_, err := Run(t.Context(), c)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, engine.ErrUnsupported) != tt.unsupported {
				t.Errorf("Run = %v, want an error that says %q, unsupported %v", err, tt.want, tt.unsupported)
			}
		})
	}
}

func TestTransfersThatDoNotEnd(t *testing.T) {
	t.Run("a dead link", func(t *testing.T) {
		l := fast()
		l.Down.Loss = 1
		r, err := Run(t.Context(), download(l, 1000))
		if err == nil || !strings.Contains(err.Error(), "set up:") || len(r.Links) != 0 || r.Err() == nil {
			t.Errorf("Run = %+v, %v; want an error of the set-up and nothing on the links", r, err)
		}
	})
	t.Run("too slow", func(t *testing.T) {
		c := download(fast(), 100<<20)
		c.Bound = time.Second
		r, err := Run(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "transfer not over after 1s") {
			t.Errorf("Run = %v, want that it is not over", err)
		}
		if r.Receiver.Bytes == 0 || r.Receiver.Intact || r.Elapsed != time.Second {
			t.Errorf("%d bytes, intact %v, after %v; want some, not intact, after 1 s", r.Receiver.Bytes, r.Receiver.Intact, r.Elapsed)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := download(fast(), 100<<20)
		c.Sample = func(Sample) { cancel(why) }
		if _, err := Run(ctx, c); !errors.Is(err, why) {
			t.Errorf("Run = %v, want %v", err, why)
		}
	})
}

func TestQLOG(t *testing.T) {
	c := download(noisy(), 200_000)
	c.Connections, c.QLOG = 2, t.TempDir()
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	files, err := os.ReadDir(c.QLOG)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		id, side, _ := strings.Cut(f.Name(), "_")
		names[id]++
		text, err := os.ReadFile(filepath.Join(c.QLOG, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("quic:packet_sent")) || !bytes.Contains(text, []byte("quic:packet_received")) || !bytes.HasSuffix(text, []byte("}\n")) {
			t.Errorf("%s has no packets sent and received, or is cut: %d bytes", f.Name(), len(text))
		}
		if side != "client.sqlog" && side != "server.sqlog" {
			t.Errorf("file %s is of no side", f.Name())
		}
	}
	for id, n := range names {
		if n != 2 {
			t.Errorf("connection %s has %d files, want its client's and its server's", id, n)
		}
	}
	if len(names) != 2 {
		t.Errorf("files of %d connections, want 2", len(names))
	}
	// The files are there now: another run with the same names must not write over them.
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "qlog") {
		t.Errorf("Run into the same folder = %v, want an error", err)
	}
}
