package wire

import (
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// appender is what all frames are.
type appender interface {
	Append(b []byte) []byte
	Len() int
}

// wantFrameError checks that b is no frame, for a TransportError of code that names
// the frame's type.
func wantFrameError(t *testing.T, b []byte, code ErrorCode) {
	t.Helper()
	typ, frame, n, err := ParseFrame(b)
	e, ok := errors.AsType[*TransportError](err)
	if !ok || e.Code != code || e.Frame != typ || e.Remote || frame != nil || n != 0 {
		t.Errorf("ParseFrame(%x) = %v, %#v, %d, %v; want an error of ours, %v, of that type", b, typ, frame, n, err, code)
	}
}

// examples has a frame or more of each type, with its bytes.
func examples(t testing.TB) []struct {
	name  string
	bytes string
	typ   FrameType
	frame appender
} {
	id := NewConnID([]byte{0xaa, 0xbb, 0xcc})
	token := ResetToken(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	const tokenHex = "000102030405060708090a0b0c0d0e0f"
	eight := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	data := []byte("hi")
	return []struct {
		name  string
		bytes string
		typ   FrameType
		frame appender
	}{
		{"PADDING", "000000", TypePadding, Padding{Size: 3}},
		{"PING", "01", TypePing, Ping{}},
		{"ACK", "02 09 4064 00 09", TypeAck, Ack{Largest: 9, Delay: 100, raw: []byte{9}, span: 9}},
		{
			"ACK with ranges and ECN", "03 4064 05 02 02 00 01 0a 00 01 02 4003", TypeAckECN,
			// 98 to 100, 95 to 96, 83
			Ack{Largest: 100, Delay: 5, HasECN: true, ECT0: 1, ECT1: 2, CE: 3, raw: []byte{2, 0, 1, 10, 0}, gaps: 2, span: 17},
		},
		{"RESET_STREAM", "04 04 4100 08", TypeResetStream, ResetStream{ID: 4, Code: 256, FinalSize: 8}},
		{"STOP_SENDING", "05 04 4100", TypeStopSending, StopSending{ID: 4, Code: 256}},
		{"CRYPTO", "06 4040 02 6869", TypeCrypto, Crypto{Offset: 64, Data: data}},
		{"NEW_TOKEN", "07 02 6869", TypeNewToken, NewToken{Token: data}},
		{"STREAM", "08 04 6869", TypeStream, Stream{ID: 4, Data: data, NoLength: true}},
		{"STREAM with FIN", "09 04", 0x09, Stream{ID: 4, Fin: true, NoLength: true}},
		{"STREAM with LEN", "0a 04 02 6869", 0x0a, Stream{ID: 4, Data: data}},
		{"STREAM with LEN, FIN", "0b 04 00", 0x0b, Stream{ID: 4, Fin: true}},
		{"STREAM with OFF", "0c 04 05 6869", 0x0c, Stream{ID: 4, Offset: 5, Data: data, NoLength: true}},
		{"STREAM with OFF, FIN", "0d 04 05 6869", 0x0d, Stream{ID: 4, Offset: 5, Data: data, Fin: true, NoLength: true}},
		{"STREAM with OFF, LEN", "0e 04 05 02 6869", 0x0e, Stream{ID: 4, Offset: 5, Data: data}},
		{"STREAM with OFF, LEN, FIN", "0f 04 05 02 6869", 0x0f, Stream{ID: 4, Offset: 5, Data: data, Fin: true}},
		{"MAX_DATA", "10 4040", TypeMaxData, MaxData{Max: 64}},
		{"MAX_STREAM_DATA", "11 04 4040", TypeMaxStreamData, MaxStreamData{ID: 4, Max: 64}},
		{"MAX_STREAMS bidirectional", "12 d000000000000000", TypeMaxStreamsBidi, MaxStreams{Direction: Bidi, Max: MaxStreamCount}},
		{"MAX_STREAMS unidirectional", "13 05", TypeMaxStreamsUni, MaxStreams{Direction: Uni, Max: 5}},
		{"DATA_BLOCKED", "14 4040", TypeDataBlocked, DataBlocked{Limit: 64}},
		{"STREAM_DATA_BLOCKED", "15 04 4040", TypeStreamDataBlocked, StreamDataBlocked{ID: 4, Limit: 64}},
		{"STREAMS_BLOCKED bidirectional", "16 05", TypeStreamsBlockedBidi, StreamsBlocked{Direction: Bidi, Limit: 5}},
		{"STREAMS_BLOCKED unidirectional", "17 d000000000000000", TypeStreamsBlockedUni, StreamsBlocked{Direction: Uni, Limit: MaxStreamCount}},
		{"NEW_CONNECTION_ID", "18 05 05 03 aabbcc" + tokenHex, TypeNewConnectionID, NewConnectionID{Sequence: 5, RetirePriorTo: 5, ID: id, Token: token}},
		{"RETIRE_CONNECTION_ID", "19 05", TypeRetireConnectionID, RetireConnectionID{Sequence: 5}},
		{"PATH_CHALLENGE", "1a 0102030405060708", TypePathChallenge, PathChallenge{Data: eight}},
		{"PATH_RESPONSE", "1b 0102030405060708", TypePathResponse, PathResponse{Data: eight}},
		{"CONNECTION_CLOSE", "1c 0a 06 02 6869", TypeCloseTransport, ConnectionClose{Code: uint64(ProtocolViolation), Frame: TypeCrypto, Reason: data}},
		{"CONNECTION_CLOSE of the application", "1d 4100 00", TypeCloseApplication, ConnectionClose{Application: true, Code: 256}},
		{"HANDSHAKE_DONE", "1e", TypeHandshakeDone, HandshakeDone{}},
		{"IMMEDIATE_ACK", "1f", TypeImmediateAck, ImmediateAck{}},
		{"DATAGRAM", "30 6869", TypeDatagram, Datagram{Data: data, NoLength: true}},
		{"DATAGRAM with LEN", "31 02 6869", TypeDatagramLen, Datagram{Data: data}},
		{"ACK_FREQUENCY", "40af 01 20 80006590 02", TypeAckFrequency, AckFrequency{Sequence: 1, Threshold: 32, MaxAckDelay: 26000, Reordering: 2}},
		{"PATH_ACK", "3e 03 09 05 00 09", TypePathAck, Ack{Path: 3, Multipath: true, Largest: 9, Delay: 5, raw: []byte{9}, span: 9}},
		{"PATH_ACK with ECN", "3f c0000000ffffffff 09 05 00 00 01 02 03", TypePathAckECN, Ack{Path: 1<<32 - 1, Multipath: true, Largest: 9, Delay: 5, HasECN: true, ECT0: 1, ECT1: 2, CE: 3, raw: []byte{0}}},
		{"PATH_ABANDON", "7e75 03 7e76", TypePathAbandon, PathAbandon{Path: 3, Code: uint64(PathUnstableOrPoor)}},
		{"PATH_STATUS_BACKUP", "7e76 03 04", TypePathStatusBackup, PathStatus{Path: 3, Sequence: 4, Backup: true}},
		{"PATH_STATUS_AVAILABLE", "7e77 03 04", TypePathStatusAvailable, PathStatus{Path: 3, Sequence: 4}},
		{"PATH_NEW_CONNECTION_ID", "7e78 07 05 04 03 aabbcc" + tokenHex, TypePathNewConnectionID, NewConnectionID{Path: 7, Multipath: true, Sequence: 5, RetirePriorTo: 4, ID: id, Token: token}},
		{"PATH_RETIRE_CONNECTION_ID", "7e79 07 05", TypePathRetireConnectionID, RetireConnectionID{Path: 7, Multipath: true, Sequence: 5}},
		{"MAX_PATH_ID", "7e7a c0000000ffffffff", TypeMaxPathID, MaxPathID{Max: 1<<32 - 1}},
		{"PATHS_BLOCKED", "7e7b 03", TypePathsBlocked, PathsBlocked{Max: 3}},
		{"PATH_CIDS_BLOCKED", "7e7c 03 04", TypePathCIDsBlocked, PathCIDsBlocked{Path: 3, NextSequence: 4}},
	}
}

func TestParseFrame(t *testing.T) {
	for _, tt := range examples(t) {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.bytes)
			typ, frame, n, err := ParseFrame(b)
			if err != nil || typ != tt.typ || n != len(b) {
				t.Fatalf("type %v, %d bytes, error %v; want %v, %d, none", typ, n, err, tt.typ, len(b))
			}
			if diff := diffValues(frame, tt.frame); diff != "" {
				t.Errorf("got + want -:\n%s", diff)
			}
			if !Known(typ) {
				t.Errorf("%v is not known", typ)
			}
		})
	}
}

func TestFrameAppend(t *testing.T) {
	for _, tt := range examples(t) {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.bytes)
			if tt.name == "ACK with ranges and ECN" {
				want = unhex(t, "03 4064 05 02 02 00 01 0a 00 01 02 03") // the shortest form of 3
			}
			if got := tt.frame.Append([]byte{0xee})[1:]; string(got) != string(want) {
				t.Errorf("Append: %x, want %x", got, want)
			}
			if got := tt.frame.Len(); got != len(want) {
				t.Errorf("Len() = %d, want %d", got, len(want))
			}
		})
	}
}

// A frame that the packet's end cuts is a FRAME_ENCODING_ERROR at every byte, unless
// its data may have any length.
func TestTruncatedFrames(t *testing.T) {
	for _, tt := range examples(t) {
		whole := unhex(t, tt.bytes)
		from := len(whole)
		switch f := tt.frame.(type) {
		case Padding:
			continue
		case Stream:
			if f.NoLength {
				from -= len(f.Data)
			}
		case Datagram:
			if f.NoLength {
				from -= len(f.Data)
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			for n := range from {
				wantFrameError(t, whole[:n:n], FrameEncodingError)
			}
		})
	}
}

// Whatever follows a frame does not change it.
func TestParseFrameLeavesTheRest(t *testing.T) {
	for _, tt := range examples(t) {
		switch f := tt.frame.(type) {
		case Stream:
			if f.NoLength {
				continue
			}
		case Datagram:
			if f.NoLength {
				continue
			}
		}
		b := append(unhex(t, tt.bytes), 0xff, 0xff)
		if _, frame, n, err := ParseFrame(b); n != len(b)-2 || err != nil || diffValues(frame, tt.frame) != "" {
			t.Errorf("%s: %d of %d bytes, %v, error %v", tt.name, n, len(b)-2, frame, err)
		}
	}
}

func TestParseFrameType(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want FrameType
		n    int
		code ErrorCode // with n == 0
	}{
		{"one byte", "3f", 0x3f, 1, 0},
		{"two bytes", "7e75", 0x3e75, 2, 0},
		{"unknown", "bfffffff", 0x3fffffff, 4, 0},
		// RFC 9000, section 12.4: MUST have the shortest form.
		{"PING in two bytes", "4001", 0, 0, ProtocolViolation},
		{"PATH_ABANDON in four bytes", "80003e75", 0, 0, ProtocolViolation},
		{"cut", "7e", 0, 0, FrameEncodingError},
		{"nothing", "", 0, 0, FrameEncodingError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, n, err := ParseFrameType(unhex(t, tt.in))
			if got != tt.want || n != tt.n {
				t.Errorf("ParseFrameType = %v in %d bytes, want %v in %d", got, n, tt.want, tt.n)
			}
			if e, ok := errors.AsType[*TransportError](err); ok != (tt.n == 0) || ok && e.Code != tt.code {
				t.Errorf("error is %v, want %v", err, tt.code)
			}
		})
	}
}

// RFC 9000, section 12.4: a frame of an unknown type MUST be a FRAME_ENCODING_ERROR.
func TestUnknownFrames(t *testing.T) {
	for _, typ := range []FrameType{0x20, 0x2f, 0x32, 0x3d, 0xae, 0xb0, 0x3e74, 0x3e7d, MaxVarint} {
		if Known(typ) {
			t.Errorf("%v is known", typ)
		}
		wantFrameError(t, append(AppendVarint(nil, uint64(typ)), 1, 2, 3), FrameEncodingError)
	}
}

// drawFrame makes a frame of any kind, with a Length field where there is a choice.
func drawFrame(t *rapid.T) appender {
	v := func(name string, highest uint64) uint64 {
		return rapid.Uint64Range(0, highest).Draw(t, name) >> rapid.IntRange(0, 61).Draw(t, "shift")
	}
	num := func(name string) uint64 { return v(name, MaxVarint) }
	stream := func() StreamID { return StreamID(num("stream")) }
	path := func() PathID { return PathID(v("path", MaxPathIDValue)) }
	data := func(least int) []byte { return rapid.SliceOfN(rapid.Byte(), least, 100).Draw(t, "data") }
	direction := func() Direction { return Direction(rapid.IntRange(0, 1).Draw(t, "direction")) }
	multipath := func() (PathID, bool) {
		if rapid.Bool().Draw(t, "multipath") {
			return path(), true
		}
		return 0, false
	}
	kinds := []func() appender{
		func() appender { return Padding{Size: rapid.IntRange(1, 100).Draw(t, "size")} },
		func() appender { return Ping{} },
		func() appender {
			f := Ack{Largest: PacketNumber(num("largest")), Delay: num("delay"), HasECN: rapid.Bool().Draw(t, "ecn")}
			f.Path, f.Multipath = multipath()
			if f.HasECN {
				f.ECT0, f.ECT1, f.CE = num("ect0"), num("ect1"), num("ce")
			}
			return f
		},
		func() appender { return ResetStream{ID: stream(), Code: num("code"), FinalSize: num("size")} },
		func() appender { return StopSending{ID: stream(), Code: num("code")} },
		func() appender { return Crypto{Offset: v("offset", MaxVarint-100), Data: data(0)} },
		func() appender { return NewToken{Token: data(1)} },
		func() appender {
			return Stream{ID: stream(), Offset: v("offset", MaxVarint-100), Data: data(0), Fin: rapid.Bool().Draw(t, "fin")}
		},
		func() appender { return MaxData{Max: num("max")} },
		func() appender { return MaxStreamData{ID: stream(), Max: num("max")} },
		func() appender { return MaxStreams{Direction: direction(), Max: v("max", MaxStreamCount)} },
		func() appender { return DataBlocked{Limit: num("limit")} },
		func() appender { return StreamDataBlocked{ID: stream(), Limit: num("limit")} },
		func() appender { return StreamsBlocked{Direction: direction(), Limit: v("limit", MaxStreamCount)} },
		func() appender {
			f := NewConnectionID{Sequence: num("sequence"), ID: NewConnID(rapid.SliceOfN(rapid.Byte(), 1, MaxConnIDLen).Draw(t, "id"))}
			f.Path, f.Multipath = multipath()
			f.RetirePriorTo = v("retire", f.Sequence)
			copy(f.Token[:], data(16))
			return f
		},
		func() appender {
			f := RetireConnectionID{Sequence: num("sequence")}
			f.Path, f.Multipath = multipath()
			return f
		},
		func() appender { return PathChallenge{Data: [8]byte(data(8))} },
		func() appender { return PathResponse{Data: [8]byte(data(8))} },
		func() appender {
			return ConnectionClose{Code: num("code"), Frame: FrameType(num("frame")), Reason: data(0)}
		},
		func() appender { return ConnectionClose{Application: true, Code: num("code"), Reason: data(0)} },
		func() appender { return HandshakeDone{} },
		func() appender { return ImmediateAck{} },
		func() appender { return Datagram{Data: data(0)} },
		func() appender {
			return AckFrequency{Sequence: num("sequence"), Threshold: num("threshold"), MaxAckDelay: num("delay"), Reordering: num("reordering")}
		},
		func() appender { return PathAbandon{Path: path(), Code: num("code")} },
		func() appender {
			return PathStatus{Path: path(), Sequence: num("sequence"), Backup: rapid.Bool().Draw(t, "backup")}
		},
		func() appender { return MaxPathID{Max: path()} },
		func() appender { return PathsBlocked{Max: path()} },
		func() appender { return PathCIDsBlocked{Path: path(), NextSequence: num("sequence")} },
	}
	return kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]()
}

// A packet of any frames parses into them again.
func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var frames []appender
		var b []byte
		for range rapid.IntRange(1, 10).Draw(t, "frames") {
			f := drawFrame(t)
			if _, pad := f.(Padding); pad && len(b) > 0 && b[len(b)-1] == 0 {
				f = Ping{} // padding after padding is one run
			}
			before := len(b)
			b = f.Append(b)
			if got := len(b) - before; f.Len() != got {
				t.Fatalf("%#v: Len() = %d, Append appends %d", f, f.Len(), got)
			}
			frames = append(frames, f)
		}
		switch rapid.IntRange(0, 2).Draw(t, "last") { // those without a Length come last
		case 0:
			frames = append(frames, Stream{ID: 4, Offset: 1, Data: []byte("rest"), NoLength: true})
			b = frames[len(frames)-1].Append(b)
		case 1:
			frames = append(frames, Datagram{Data: []byte("rest"), NoLength: true})
			b = frames[len(frames)-1].Append(b)
		}
		for i, want := range frames {
			_, got, n, err := ParseFrame(b)
			if err != nil {
				t.Fatalf("frame %d, %#v: %v", i, want, err)
			}
			if a, ok := got.(Ack); ok { // made by hand, it has no ranges to compare
				a.raw = nil
				got = a
			}
			if diff := diffValues(got, want); diff != "" {
				t.Fatalf("frame %d, got + want -:\n%s", i, diff)
			}
			b = b[n:]
		}
		if len(b) > 0 {
			t.Fatalf("%d bytes left", len(b))
		}
	})
}

// FuzzFrames walks a packet's payload. What parses appends to an equal frame.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, tt := range examples(f) {
		b := unhex(f, tt.bytes)
		f.Add(b)
		all = append(all, b...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			typ, frame, n, err := ParseFrame(b)
			if err != nil {
				if _, ok := errors.AsType[*TransportError](err); !ok || frame != nil {
					t.Fatalf("error %v is no TransportError, or comes with %v", err, frame)
				}
				return
			}
			if n <= 0 || n > len(b) || !Known(typ) {
				t.Fatalf("%v took %d of %d bytes", typ, n, len(b))
			}
			again := frame.(appender).Append(nil)
			if got := frame.(appender).Len(); got != len(again) || got > n {
				t.Fatalf("%s: Len() = %d, appended %d, came in %d", hex.EncodeToString(b[:n]), got, len(again), n)
			}
			_, second, took, err := ParseFrame(again)
			if diff := diffValues(second, frame); diff != "" || err != nil || took != len(again) {
				t.Fatalf("%x became %x; took %d, error %v; got + want -:\n%s", b[:n], again, took, err, diff)
			}
			if a, ok := frame.(Ack); ok {
				checkRanges(t, a)
			}
			b = b[n:]
		}
	})
}
