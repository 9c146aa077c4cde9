package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkUpDown raises and lowers lte-wifi as whole commands, and reports the
// median time of each.
func BenchmarkUpDown(b *testing.B) {
	parent, err := os.MkdirTemp("", "tqlb-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(parent)
	timed := func(args ...string) float64 {
		cmd := exec.Command("tquiclab", args...)
		cmd.Env = append(os.Environ(), stateVariable+"="+filepath.Join(parent, "run"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatalf("%v: %v\n%s", args, err, &stderr)
		}
		return time.Since(start).Seconds()
	}
	var ups, downs []float64
	for b.Loop() {
		ups = append(ups, timed("up", "lte-wifi", "--name", "tqlbench"))
		downs = append(downs, timed("down", "tqlbench"))
	}
	slices.Sort(ups)
	slices.Sort(downs)
	b.ReportMetric(ups[len(ups)/2], "up-s-median")
	b.ReportMetric(downs[len(downs)/2], "down-s-median")
	b.ReportMetric(float64(len(ups)), "n")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}
