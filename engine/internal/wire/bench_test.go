package wire

import "testing"

// BenchmarkParse is what a received packet costs here, frame by frame.
func BenchmarkParse(b *testing.B) {
	var ranges []Range
	for top := PacketNumber(1_000_000); len(ranges) < 32; top -= 100 {
		ranges = append(ranges, Range{Smallest: top - 50, Largest: top})
	}
	var sum PacketNumber
	b.Run("frame=stream", func(b *testing.B) {
		in := Stream{ID: 4, Offset: 1 << 33, Data: make([]byte, 1400)}.Append(nil)
		b.ReportAllocs()
		for b.Loop() {
			t, n, _ := ParseFrameType(in)
			f, _, err := ParseStream(t, in[n:])
			if err != nil || len(f.Data) != 1400 {
				b.Fatal(f, err)
			}
		}
	})
	b.Run("frame=ack/ranges=32", func(b *testing.B) {
		in := AppendAck(nil, Ack{Delay: 100}, ranges)
		b.ReportAllocs()
		for b.Loop() {
			t, n, _ := ParseFrameType(in)
			f, _, err := ParseAck(t, in[n:])
			if err != nil {
				b.Fatal(err)
			}
			for r := range f.Ranges() {
				sum += r.Smallest
			}
		}
	})
	b.Run("header=short", func(b *testing.B) {
		in := AppendShort(nil, NewConnID(make([]byte, 8)), 0, 7, 2)
		b.ReportAllocs()
		for b.Loop() {
			if h, ok := ParseInvariant(in, 8); !ok || h.Long {
				b.Fatal(h)
			}
		}
	})
}

// BenchmarkAppend is what a sent packet costs here, frame by frame.
func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 2048)
	ranges := []Range{{Smallest: 1000, Largest: 1031}, {Smallest: 900, Largest: 990}}
	id := NewConnID(make([]byte, 8))
	b.Run("frame=stream", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = Stream{ID: 4, Offset: 1 << 33, NoLength: true}.AppendHeader(buf[:0], 1400)
		}
	})
	b.Run("frame=ack/ranges=2", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendAck(buf[:0], Ack{Delay: 100}, ranges)
		}
	})
	b.Run("header=short", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendShort(buf[:0], id, 1, 1000, 2)
		}
	})
}
