package topologies

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]emulation.Rate{
		"50mbit":                 50_000_000,
		"1.5gbit":                1_500_000_000,
		"800kbit":                800_000,
		"64bit":                  64,
		"0.001kbit":              1,
		"007.50mbit":             7_500_000,
		"2.30mbit":               2_300_000, // 2.3e6 in doubles is 2299999.9999999998
		"1000gbit":               1_000_000_000_000,
		"1.000000000000000gbit":  1_000_000_000,
		"000000000000000001gbit": 1_000_000_000,
		"unlimited":              0,
	} {
		got, err := ParseRate(text)
		if got != want || err != nil {
			t.Errorf("ParseRate(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]emulation.ByteCount{
		"1500B":                               1500,
		"64KB":                                64_000,
		"64KiB":                               65_536,
		"1.5KiB":                              1536,
		"100MB":                               100_000_000,
		"1MiB":                                1 << 20,
		"2GB":                                 2_000_000_000,
		"0.5GiB":                              1 << 29,
		"0B":                                  0,
		"1000000GB":                           1_000_000_000_000_000,
		"1.000000000931322574615478515625GiB": 1<<30 + 1,
	} {
		got, err := ParseSize(text)
		if got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30ms":       30 * time.Millisecond,
		"1.5s":       1500 * time.Millisecond,
		"200us":      200 * time.Microsecond,
		"100ns":      100,
		"2m":         2 * time.Minute,
		"0s":         0,
		"0.000001ms": 1,
		"1440m":      24 * time.Hour,
	} {
		got, err := ParseTime(text)
		if got != want || err != nil {
			t.Errorf("ParseTime(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]float64{
		"0.1%":    0.001,
		"0%":      0,
		"0.0%":    0,
		"100%":    1,
		"100.00%": 1,
		"2.5%":    0.025,
		"0.01%":   0.0001,
		"0.07%":   0.0007, // 0.07/100 in doubles is 0.0007000000000000001
		"33%":     0.33,
		"57%":     0.57,
	} {
		got, err := ParsePercent(text)
		if got != want || err != nil {
			t.Errorf("ParsePercent(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseQueue(t *testing.T) {
	for text, want := range map[string]emulation.Queue{
		"100ms":     {Time: 100 * time.Millisecond},
		"2m":        {Time: 2 * time.Minute},
		"64KB":      {Bytes: 64_000},
		"1B":        {Bytes: 1},
		"50packets": {Packets: 50},
		"1packets":  {Packets: 1},
		"unlimited": {},
	} {
		got, err := ParseQueue(text)
		if got != want || err != nil {
			t.Errorf("ParseQueue(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// TestSuggestions has what people write, and what they are told to write.
func TestSuggestions(t *testing.T) {
	parsers := parsers()
	for _, c := range []struct{ kind, text, want string }{
		{"rate", "50Mbps", "50mbit"},
		{"rate", "50Mbit", "50mbit"},
		{"rate", "50MBIT", "50mbit"},
		{"rate", "1.5 Gbit/s", "1.5gbit"},
		{"rate", "800Kb", "800kbit"},
		{"rate", "800 kbps", "800kbit"},
		{"rate", "64b", "64bit"},
		{"rate", "64bps", "64bit"},
		{"rate", "50M", "50mbit"},
		{"rate", "50MB", ""}, // bytes?
		{"rate", "50MBps", ""},
		{"rate", "50Mibit", ""},
		{"rate", "5000Gbps", ""}, // would be too large
		{"rate", "+5mbit", "5mbit"},
		{"rate", ".5mbit", "0.5mbit"},
		{"rate", "Unlimited", ""},
		{"size", "64kB", "64KB"},
		{"size", "64kib", "64KiB"},
		{"size", "64 bytes", "64B"},
		{"size", "1mb", "1MB"},
		{"size", "64k", ""}, // KB or KiB?
		{"size", "64Kbit", ""},
		{"time", "30MS", "30ms"},
		{"time", "30 msec", "30ms"},
		{"time", "5sec", "5s"},
		{"time", "5seconds", "5s"},
		{"time", "2min", "2m"},
		{"time", "1h", "60m"},
		{"time", "1m30s", "90s"},
		{"time", "30µs", "30us"},
		{"time", "30usec", "30us"},
		{"time", "30", ""},
		{"percent", "0.1 %", "0.1%"},
		{"percent", "1pct", "1%"},
		{"percent", "0.1", ""}, // a fraction?
		{"percent", "200 %", ""},
		{"rate", "0b", ""},
		{"queue", "0b", ""},
		{"queue", "50p", "50packets"},
		{"queue", "1packet", "1packets"},
		{"queue", "50 pkts", "50packets"},
		{"queue", "100msec", "100ms"},
		{"queue", "64kb", "64KB"},
		{"queue", "50 packets", "50packets"},
	} {
		err := parsers[c.kind](c.text)
		e, ok := errors.AsType[*QuantityError](err)
		if !ok {
			t.Errorf("%s %q: error is %v, want a QuantityError", c.kind, c.text, err)
			continue
		}
		if e.Nearest != c.want {
			t.Errorf("%s %q: suggests %q, want %q", c.kind, c.text, e.Nearest, c.want)
		}
	}
}

// parsers returns the quantity parsers without their values.
func parsers() map[string]func(string) error {
	return map[string]func(string) error{
		"rate":    func(s string) error { _, err := ParseRate(s); return err },
		"size":    func(s string) error { _, err := ParseSize(s); return err },
		"time":    func(s string) error { _, err := ParseTime(s); return err },
		"percent": func(s string) error { _, err := ParsePercent(s); return err },
		"queue":   func(s string) error { _, err := ParseQueue(s); return err },
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatRate(50_000_000), "50mbit"},
		{FormatRate(1_500_000_000), "1.5gbit"},
		{FormatRate(800_000), "800kbit"},
		{FormatRate(999), "999bit"},
		{FormatRate(1), "1bit"},
		{FormatRate(0), "unlimited"},
		{FormatRate(12_345_678), "12345678bit"}, // beside 12345.678kbit and 12.345678mbit
		{FormatRate(7_500_000), "7.5mbit"},
		{FormatSize(0), "0B"},
		{FormatSize(1500), "1500B"}, // beside 1.5KB
		{FormatSize(64_000), "64KB"},
		{FormatSize(65_536), "64KiB"},
		{FormatSize(1 << 20), "1MiB"},
		{FormatTime(0), "0s"},
		{FormatTime(100 * time.Millisecond), "100ms"},
		{FormatTime(1500 * time.Millisecond), "1.5s"},
		{FormatTime(10 * time.Second), "10s"},
		{FormatTime(time.Minute), "1m"},
		{FormatTime(90 * time.Second), "90s"},
		{FormatTime(35 * time.Millisecond), "35ms"},
		{FormatPercent(0), "0%"},
		{FormatPercent(0.001), "0.1%"},
		{FormatPercent(0.0001), "0.01%"},
		{FormatPercent(1), "100%"},
		{FormatPercent(0.57), "57%"},
		{FormatPercent(0.0007), "0.07%"},
		{FormatPercent(1e-9), "0.0000001%"},
		{FormatQueue(emulation.Queue{}), "unlimited"},
		{FormatQueue(emulation.Queue{Packets: 1}), "1packets"},
		{FormatQueue(emulation.Queue{Bytes: 64_000}), "64KB"},
		{FormatQueue(emulation.Queue{Time: 300 * time.Millisecond}), "300ms"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// TestFormatParses: what is printed is read back as the same value.
func TestFormatParses(t *testing.T) {
	t.Run("rate", rapid.MakeCheck(func(t *rapid.T) {
		parses(t, FormatRate, ParseRate, emulation.Rate(drawCount(t, mostRate)))
	}))
	t.Run("size", rapid.MakeCheck(func(t *rapid.T) {
		parses(t, FormatSize, ParseSize, emulation.ByteCount(drawCount(t, mostBytes)))
	}))
	t.Run("time", rapid.MakeCheck(func(t *rapid.T) {
		parses(t, FormatTime, ParseTime, time.Duration(drawCount(t, mostTime)))
	}))
	t.Run("percent", rapid.MakeCheck(func(t *rapid.T) {
		parses(t, FormatPercent, ParsePercent, rapid.Float64Range(0, 1).Draw(t, "fraction"))
	}))
	t.Run("queue", rapid.MakeCheck(func(t *rapid.T) { parses(t, FormatQueue, ParseQueue, drawQueue(t)) }))
}

func parses[V comparable](t *rapid.T, format func(V) string, parse func(string) (V, error), v V) {
	text := format(v)
	got, err := parse(text)
	if err != nil || got != v {
		t.Fatalf("%v is printed as %s, which parses as %v, %v", v, text, got, err)
	}
}

// drawCount draws round numbers as often as odd ones.
func drawCount(t *rapid.T, most int64) int64 {
	n := rapid.Int64Range(0, most).Draw(t, "n")
	scale := rapid.SampledFrom([]int64{1, 1e3, 1e6, 1e9, 1 << 10, 1 << 20, 60e9}).Draw(t, "scale")
	if n < math.MaxInt64/scale && n*scale <= most {
		return n * scale
	}
	return n / scale * scale
}

func drawQueue(t *rapid.T) emulation.Queue {
	switch rapid.IntRange(0, 3).Draw(t, "queue") {
	case 0:
		return emulation.Queue{Packets: int(drawCount(t, mostPackets))}
	case 1:
		return emulation.Queue{Bytes: emulation.ByteCount(drawCount(t, mostBytes))}
	case 2:
		return emulation.Queue{Time: time.Duration(drawCount(t, mostTime))}
	}
	return emulation.Queue{}
}

// TestFormatOdd: values that no parser returns still print as something.
func TestFormatOdd(t *testing.T) {
	for _, text := range []string{
		FormatRate(-1), FormatRate(math.MinInt64), FormatTime(math.MaxInt64), FormatSize(-5),
		FormatPercent(math.NaN()), FormatPercent(math.Inf(1)), FormatPercent(-0.5), FormatPercent(20),
	} {
		if text == "" {
			t.Error("prints nothing")
		}
	}
}
