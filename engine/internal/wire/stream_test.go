package wire

import "testing"

func TestParseStreamRefuses(t *testing.T) {
	// RFC 9000, section 19.8: offset and length MUST NOT pass 2^62-1 together.
	for name, in := range map[string]string{
		"with LEN":    "0e 04 fffffffffffffffe 02 6869",
		"without LEN": "0c 04 ffffffffffffffff 68",
	} {
		t.Run(name, func(t *testing.T) { wantFrameError(t, unhex(t, in), FrameEncodingError) })
	}
	if f, _, err := ParseStream(0x0e, unhex(t, "04 fffffffffffffffe 01 68")); err != nil {
		t.Errorf("the last byte of the longest stream is refused: %v, %v", f, err)
	}
}

func TestStreamAppendHeader(t *testing.T) {
	f := Stream{ID: 4, Offset: 70, Fin: true}
	b := f.AppendHeader(nil, 300)
	if want := unhex(t, "0f 04 4046 412c"); string(b) != string(want) {
		t.Errorf("AppendHeader = %x, want %x", b, want)
	}
	if got := StreamHeaderLen(4, 70, 300, false); got != len(b) {
		t.Errorf("StreamHeaderLen = %d, want %d", got, len(b))
	}
	if got := StreamHeaderLen(4, 1, 2, false); got != 4 {
		t.Errorf("StreamHeaderLen with offset 1 is %d, want 4", got)
	}
	f.NoLength, f.Offset = true, 0
	b = f.AppendHeader(nil, 300)
	if want := unhex(t, "09 04"); string(b) != string(want) || StreamHeaderLen(4, 0, 300, true) != len(want) {
		t.Errorf("without LEN and OFF: %x in %d bytes, want %x", b, StreamHeaderLen(4, 0, 300, true), want)
	}
}

func TestStreamDataIsTheInputs(t *testing.T) {
	b := unhex(t, "04 02 6869 ff")
	f, _, err := ParseStream(0x0a, b)
	if err != nil || &f.Data[0] != &b[2] || cap(f.Data) != 2 {
		t.Errorf("data %x of capacity %d is a copy or reaches beyond the frame; error %v", f.Data, cap(f.Data), err)
	}
}
