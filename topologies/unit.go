package topologies

import (
	"slices"
	"strings"
	"time"
)

// unit is a spelling that a quantity may end with.
type unit struct {
	name  string
	scale uint64 // how many of the base unit it is
	most  uint64 // largest quantity, in the base unit
	base  string // the base unit: "bytes"
}

// Sane upper bounds. They keep every product of a rate, a time and a size that
// the model forms far from overflowing 128 bits, and catch slips of the keyboard.
const (
	mostRate    = 1_000_000_000_000         // 1 Tbit/s
	mostBytes   = 1_000_000_000_000_000     // 1 PB
	mostTime    = 24 * 3600 * 1_000_000_000 // a day, in nanoseconds
	mostPackets = 1_000_000_000
)

func rateUnits() []unit {
	return []unit{
		{"bit", 1, mostRate, "bit/s"},
		{"kbit", 1e3, mostRate, "bit/s"},
		{"mbit", 1e6, mostRate, "bit/s"},
		{"gbit", 1e9, mostRate, "bit/s"},
	}
}

func sizeUnits() []unit {
	return []unit{
		{"B", 1, mostBytes, "bytes"},
		{"KB", 1e3, mostBytes, "bytes"},
		{"MB", 1e6, mostBytes, "bytes"},
		{"GB", 1e9, mostBytes, "bytes"},
		{"KiB", 1 << 10, mostBytes, "bytes"},
		{"MiB", 1 << 20, mostBytes, "bytes"},
		{"GiB", 1 << 30, mostBytes, "bytes"},
	}
}

func timeUnits() []unit {
	return []unit{
		{"ns", 1, mostTime, "nanoseconds"},
		{"us", 1e3, mostTime, "nanoseconds"},
		{"ms", 1e6, mostTime, "nanoseconds"},
		{"s", 1e9, mostTime, "nanoseconds"},
		{"m", 60e9, mostTime, "nanoseconds"},
	}
}

func packetUnits() []unit { return []unit{{"packets", 1, mostPackets, "packets"}} }

func unitNames(units []unit) []string {
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.name
	}
	return names
}

func hasUnit(units []unit, name string) bool {
	return slices.ContainsFunc(units, func(u unit) bool { return u.name == name })
}

// The functions below guess what a number with a wrong unit should have been.
// They return an empty string rather than a guess that may be wrong by a factor:
// 50MBps is bytes, 64k may be KB or KiB.

func guessRate(n decimal, unit string) string {
	lower := strings.ToLower(unit)
	if strings.Contains(unit, "B") && !strings.Contains(lower, "bit") {
		return ""
	}
	prefix := ""
	if lower != "" && strings.ContainsRune("kmg", rune(lower[0])) {
		prefix, lower = lower[:1], lower[1:]
	}
	switch lower {
	case "b", "bps", "b/s", "bit", "bits", "bit/s", "bits/s":
		return n.String() + prefix + "bit"
	case "":
		return n.String() + prefix + "bit"
	}
	return ""
}

func guessSize(n decimal, unit string) string {
	prefix, rest := "", strings.ToLower(unit)
	if rest != "" && strings.ContainsRune("kmg", rune(rest[0])) {
		prefix, rest = strings.ToUpper(rest[:1]), rest[1:]
		if after, found := strings.CutPrefix(rest, "i"); found {
			prefix, rest = prefix+"i", after
		}
	}
	switch rest {
	case "b", "byte", "bytes":
		return n.String() + prefix + "B"
	}
	return ""
}

func guessTime(n decimal, unit string) string {
	// Go's own spelling takes hours and compounds: 1h is 60m, 1m30s is 90s.
	if d, err := time.ParseDuration(n.String() + unit); err == nil && d > 0 && d <= mostTime {
		return FormatTime(d)
	}
	switch strings.TrimSuffix(strings.ToLower(unit), "s") {
	case "nsec", "nanosecond", "n":
		return n.String() + "ns"
	case "usec", "microsecond", "u":
		return n.String() + "us"
	case "msec", "millisecond", "milli":
		return n.String() + "ms"
	case "sec", "second", "":
		return n.String() + "s"
	case "min", "minute":
		return n.String() + "m"
	case "m":
		if len(unit) == len("MS") {
			return n.String() + "ms"
		}
	}
	return ""
}

func guessQueue(n decimal, unit string) string {
	switch strings.ToLower(unit) {
	case "p", "pk", "pkt", "pkts", "packet", "packets":
		return n.String() + "packets"
	}
	if guess := guessTime(n, unit); guess != "" {
		return guess
	}
	return guessSize(n, unit)
}
