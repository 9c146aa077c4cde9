package wire

import "testing"

// What a packet of bulk data passes through does not allocate.
func TestDataPathDoesNotAllocate(t *testing.T) {
	b := make([]byte, 0, 4096)
	data := make([]byte, 1000)
	id := NewConnID([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	ranges := []Range{{90, 100}, {70, 80}, {1, 5}}
	long := AppendLong(nil, LongHeader{Type: PacketHandshake, Version: Version1, DstID: id, SrcID: id, Length: 4}, 1, 4)
	var sum PacketNumber
	tests := map[string]func(){
		"Stream": func() {
			b = Stream{ID: 4, Offset: 1 << 40, Data: data}.Append(b[:0])
			if f, _, err := ParseStream(FrameType(b[0]), b[1:]); err != nil || len(f.Data) != len(data) {
				t.Error(f, err)
			}
		},
		"Stream header": func() {
			b = Stream{ID: 4, Offset: 1 << 40, NoLength: true}.AppendHeader(b[:0], len(data))
			if StreamHeaderLen(4, 1<<40, len(data), true) != len(b) {
				t.Error(len(b))
			}
		},
		"Ack": func() {
			b = AppendAck(b[:0], Ack{HasECN: true, CE: 70}, ranges)
			f, _, err := ParseAck(FrameType(b[0]), b[1:])
			if err != nil || AckLen(f, ranges) != len(b) {
				t.Error(f, err)
			}
			for r := range f.Ranges() {
				sum += r.Largest - r.Smallest
			}
		},
		"Ack by reference": func() {
			b = AppendAck(b[:0], Ack{Multipath: true}, ranges)
			f, _, err := ParseAck(FrameType(b[0]), b[1:])
			if err != nil {
				t.Error(err)
			}
			for r := range (&f).Ranges() {
				sum += r.Smallest
			}
		},
		"Crypto": func() {
			b = Crypto{Offset: 1000, Data: data}.Append(b[:0])
			if f, _, err := ParseCrypto(TypeCrypto, b[1:]); err != nil || len(f.Data) != len(data) {
				t.Error(f, err)
			}
		},
		"Datagram": func() {
			b = Datagram{Data: data}.Append(b[:0])
			if f, _, err := ParseDatagram(TypeDatagramLen, b[1:]); err != nil || f.Len() != len(b) {
				t.Error(f, err)
			}
		},
		"MaxData, MaxStreamData": func() {
			b = MaxStreamData{ID: 4, Max: 1 << 40}.Append(MaxData{Max: 1 << 40}.Append(b[:0]))
			typ, n, err := ParseFrameType(b)
			if err != nil || typ != TypeMaxData {
				t.Error(typ, err)
			}
			f, m, err := ParseMaxData(typ, b[n:])
			if err != nil || f.Len() != n+m {
				t.Error(f, err)
			}
			if f, _, err := ParseMaxStreamData(TypeMaxStreamData, b[n+m+1:]); err != nil || f.Len() != len(b)-n-m {
				t.Error(f, err)
			}
		},
		"NewConnectionID": func() {
			b = NewConnectionID{Sequence: 5, ID: id}.Append(b[:0])
			if f, _, err := ParseNewConnectionID(TypeNewConnectionID, b[1:]); err != nil || f.ID != id {
				t.Error(f, err)
			}
		},
		"padding and bare frames": func() {
			b = ImmediateAck{}.Append(Ping{}.Append(Padding{Size: 1000}.Append(b[:0]))) // over what was there before
			if SkipPadding(b) != 1000 {
				t.Error(SkipPadding(b))
			}
		},
		"long header": func() {
			if h, err := ParseLong(long); err != nil || h.DstID != id {
				t.Error(h, err)
			}
			if _, err := ParseLong(long[:7]); err != ErrTruncated {
				t.Error(err)
			}
		},
		"short header": func() {
			b = AppendShort(b[:0], id, 1, 7, 2)
			if h, ok := ParseInvariant(b, 8); !ok || len(h.DstID) != 8 {
				t.Error(h)
			}
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, f); n > 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
	if sum == 0 {
		t.Error("no range was seen")
	}
}
