package wire

import "testing"

func TestStreamID(t *testing.T) {
	// RFC 9000, section 2.1, table 1.
	tests := []struct {
		side Perspective
		d    Direction
		n    uint64
		want StreamID
	}{{Client, Bidi, 0, 0}, {Server, Bidi, 0, 1}, {Client, Uni, 0, 2}, {Server, Uni, 2, 11}}
	for _, tt := range tests {
		id := NewStreamID(tt.side, tt.d, tt.n)
		if id != tt.want || id.Initiator() != tt.side || id.Direction() != tt.d || id.Number() != tt.n {
			t.Errorf("stream %d of the %v, %v: %d, which says %v, %v, %d; want %d",
				tt.n, tt.side, tt.d, id, id.Initiator(), id.Direction(), id.Number(), tt.want)
		}
	}
	if Client.Peer() != Server || Server.Peer() != Client {
		t.Error("a side is its own peer")
	}
}

func TestConnID(t *testing.T) {
	id := NewConnID([]byte{0xaa, 0xbb})
	if id.Len() != 2 || id.String() != "aabb" || string(id.Append([]byte{1})) != "\x01\xaa\xbb" || string(id.Bytes()) != "\xaa\xbb" {
		t.Errorf("ID of aabb is %v, %d bytes, appends %x", id, id.Len(), id.Append(nil))
	}
	if id != NewConnID([]byte{0xaa, 0xbb}) || id == NewConnID([]byte{0xaa, 0xbb, 0}) {
		t.Error("IDs do not compare as their bytes do")
	}
	if !panics(func() { NewConnID(longID(MaxConnIDLen + 1)) }) {
		t.Error("21 bytes went through")
	}
}
