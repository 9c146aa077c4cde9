package wire

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// checkRanges checks that an Ack's ranges descend from Largest to Smallest with a gap
// between any two. It looks at the first few thousand.
func checkRanges(t interface{ Fatalf(string, ...any) }, f Ack) {
	above := f.Largest + 2
	n := 0
	for r := range f.Ranges() {
		if r.Largest > above-2 || r.Smallest > r.Largest || r.Smallest < f.Smallest() || n == 0 && r.Largest != f.Largest {
			t.Fatalf("range %d is %v, below %d, in %d to %d", n, r, above, f.Smallest(), f.Largest)
		}
		above = r.Smallest
		if n++; n > 4096 {
			return
		}
	}
	if above != f.Smallest() {
		t.Fatalf("the last of %d ranges begins with %d, Smallest() is %d", n, above, f.Smallest())
	}
}

func TestAckRanges(t *testing.T) {
	f, _, err := ParseAck(TypeAck, unhex(t, "4064 05 02 02 00 01 0a 00"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Range{{98, 100}, {95, 96}, {83, 83}}
	if got := slices.Collect(f.Ranges()); !slices.Equal(got, want) {
		t.Errorf("Ranges() = %v, want %v", got, want)
	}
	if got := f.Smallest(); got != 83 {
		t.Errorf("Smallest() = %d, want 83", got)
	}
	for r := range f.Ranges() {
		if r != want[0] {
			t.Errorf("after a stop comes %v", r)
		}
		break
	}
}

func TestAckMadeByHand(t *testing.T) {
	f := Ack{Largest: 7}
	if got, want := slices.Collect(f.Ranges()), []Range{{7, 7}}; !slices.Equal(got, want) || f.Smallest() != 7 {
		t.Errorf("it acknowledges %v down to %d, want %v", got, f.Smallest(), want)
	}
}

func TestParseAckRefuses(t *testing.T) {
	// RFC 9000, section 19.3.1: a negative packet number MUST be a FRAME_ENCODING_ERROR.
	for name, in := range map[string]string{
		"first range below 0":   "02 05 00 00 06",
		"gap below 0":           "02 05 00 01 05 00 00",
		"second range below 0":  "02 05 00 01 02 00 02",
		"huge range":            "02 05 00 00 ffffffffffffffff",
		"huge gap":              "02 05 00 01 00 ffffffffffffffff 00",
		"huge gap and range":    "02 05 00 02 00 ffffffffffffffff ffffffffffffffff 00 00",
		"around to above 0":     "02 05 00 02 00 ffffffffffffffff ffffffffffffffff ffffffffffffffff ffffffffffffffff",
		"counts without end":    "02 ffffffffffffffff 00 ffffffffffffffff 00",
		"more ranges than fit":  "02 4064 00 ffffffffffffffff 00 00 00",
		"ranges, then below 0":  "02 04 00 03 00 00 00 00 00 00 00",
		"ECN counts are absent": "03 05 00 00 05",
	} {
		t.Run(name, func(t *testing.T) { wantFrameError(t, unhex(t, in), FrameEncodingError) })
	}
}

func TestAppendAckRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Ack{Delay: rapid.Uint64Range(0, 1<<20).Draw(t, "delay"), HasECN: rapid.Bool().Draw(t, "ecn"), Multipath: rapid.Bool().Draw(t, "multipath")}
		if f.HasECN {
			f.ECT0, f.ECT1, f.CE = 1, 70, 20000
		}
		if f.Multipath {
			f.Path = 300
		}
		var ranges []Range
		next := PacketNumber(rapid.Int64Range(0, 1<<50).Draw(t, "smallest"))
		for range rapid.IntRange(1, 70).Draw(t, "ranges") {
			last := next + PacketNumber(rapid.Int64Range(0, 1<<40).Draw(t, "span")>>rapid.IntRange(0, 40).Draw(t, "shift"))
			ranges = append(ranges, Range{next, last})
			next = last + 2 + PacketNumber(rapid.Int64Range(0, 1<<20).Draw(t, "gap"))
		}
		slices.Reverse(ranges)

		b := AppendAck(nil, f, ranges)
		if got := AckLen(f, ranges); got != len(b) {
			t.Fatalf("AckLen = %d, AppendAck appends %d", got, len(b))
		}
		typ, n, _ := ParseFrameType(b)
		got, took, err := ParseAck(typ, b[n:])
		if err != nil || n+took != len(b) {
			t.Fatalf("%x: took %d, error %v", b, n+took, err)
		}
		if rs := slices.Collect(got.Ranges()); !slices.Equal(rs, ranges) {
			t.Fatalf("Ranges() = %v, want %v", rs, ranges)
		}
		checkRanges(t, got)
		f.Largest = ranges[0].Largest
		got.raw, got.gaps, got.span = nil, 0, 0
		if diff := diffValues(got, f); diff != "" {
			t.Fatalf("got + want -:\n%s", diff)
		}
	})
}

func TestAppendAckPanicsOnTouchingRanges(t *testing.T) {
	for name, ranges := range map[string][]Range{
		"none":      nil,
		"touching":  {{5, 9}, {3, 4}},
		"ascending": {{3, 4}, {6, 9}},
		"reversed":  {{9, 5}},
	} {
		if !panics(func() { AppendAck(nil, Ack{}, ranges) }) {
			t.Errorf("%s: went through", name)
		}
	}
}
