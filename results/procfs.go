package results

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
)

// cpuFacts is what /proc/cpuinfo says.
type cpuFacts struct {
	model string // of the first CPU
	count int    // on line
}

// parseCPUInfo reads /proc/cpuinfo. On arm64, which has no model name, the model
// is made of the implementer's and the part's numbers.
func parseCPUInfo(data []byte) (cpuFacts, error) {
	var f cpuFacts
	var implementer, part string
	for key, value := range colonLines(data) {
		switch key {
		case "processor":
			f.count++
		case "model name":
			f.model = firstOf(f.model, value)
		case "CPU implementer":
			implementer = firstOf(implementer, value)
		case "CPU part":
			part = firstOf(part, value)
		}
	}
	if f.count == 0 {
		return cpuFacts{}, fmt.Errorf("no line says processor")
	}
	if f.model == "" && part != "" {
		f.model = "implementer " + implementer + " part " + part
	}
	return f, nil
}

// parseMemTotal reads the machine's memory in bytes from /proc/meminfo.
func parseMemTotal(data []byte) (int64, error) {
	for key, value := range colonLines(data) {
		if key != "MemTotal" {
			continue
		}
		number, unit, _ := strings.Cut(value, " ")
		kib, err := strconv.ParseInt(number, 10, 64)
		if err != nil || kib < 0 || kib > math.MaxInt64>>10 || unit != "kB" {
			return 0, fmt.Errorf("MemTotal is %q, want a number of kB", value)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("no line says MemTotal")
}

// parseSteal reads the seconds that the host took away since boot, over all CPUs,
// from /proc/stat: the eighth number of the line "cpu", in ticks. The tick is that
// of the kernel's interface, USER_HZ, which is 100 on every architecture that Go
// runs Linux on, whatever the kernel's own HZ (man 5 proc_stat).
func parseSteal(data []byte) (float64, error) {
	const userHZ = 100
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] != "cpu" {
			continue
		}
		if len(fields) < 9 {
			return 0, fmt.Errorf("line cpu has %d numbers, want 8 or more", len(fields)-1)
		}
		ticks, err := strconv.ParseUint(fields[8], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("steal time: %w", err)
		}
		return float64(ticks) / userHZ, nil
	}
	return 0, fmt.Errorf("no line says cpu")
}

// colonLines yields key and value of each line "key : value".
func colonLines(data []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for line := range bytes.Lines(data) {
			key, value, ok := strings.Cut(string(line), ":")
			if ok && !yield(strings.TrimSpace(key), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

func firstOf(have, next string) string {
	if have != "" {
		return have
	}
	return next
}
