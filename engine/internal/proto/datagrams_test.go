package proto

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func newDatagramsTest(own, peer wire.ByteCount) (*datagrams, *int) {
	d, n := new(datagrams), new(int)
	d.init(own, func(e Event) {
		if e.Kind == DatagramReceived {
			*n++
		}
	})
	d.setPeerMax(peer)
	return d, n
}

// datagramsTestFrame parses the one DATAGRAM frame of a packet, PADDING aside.
func datagramsTestFrame(t partsTestT, b []byte) wire.Datagram {
	t.Helper()
	b = b[wire.SkipPadding(b):]
	_, v, n, err := wire.ParseFrame(b)
	if err != nil || n != len(b) {
		t.Fatalf("parse % x: %d bytes, error %v", b, n, err)
	}
	return v.(wire.Datagram)
}

func TestDatagramsSendWhatThePeerTakes(t *testing.T) {
	tests := []struct {
		peer, path wire.ByteCount
		max        int // payload; -1: none
	}{
		{0, 0, -1},
		{0, 1200, -1},
		{2, 0, 0},
		{3, 0, 1},
		{65, 0, 63},
		{66, 0, 63},
		{67, 0, 64},
		{65535, 0, 65530},
		{65535, 1200, 1197},
		{1000, 1200, 997},
		{1 << 60, 1200, 1197},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("peer=%d,path=%d", tt.peer, tt.path), func(t *testing.T) {
			d, _ := newDatagramsTest(0, tt.peer)
			d.setPathMax(tt.path)
			if got := d.maxPayload(); tt.peer > 0 && got != tt.max {
				t.Fatalf("largest payload %d, want %d", got, tt.max)
			}
			// RFC 9221, section 3: nothing MUST be sent that the peer did not allow.
			err := d.send(make([]byte, tt.max+1))
			var size *DatagramSizeError
			if tt.max < 0 {
				if !errors.Is(err, ErrNoDatagrams) {
					t.Errorf("error %v, want %v", err, ErrNoDatagrams)
				}
				return
			}
			if !errors.As(err, &size) || size.Max != tt.max || size.Size != tt.max+1 {
				t.Errorf("error %v, want a size error with the limit %d", err, tt.max)
			}
			if err := d.send(make([]byte, tt.max)); err != nil {
				t.Fatalf("the largest payload: %v", err)
			}
			w := partsTestBuilder(1 << 17)
			d.appendFrame(w)
			if n := wire.ByteCount(len(w.b)); n > tt.peer || (tt.path > 0 && n > tt.path) {
				t.Errorf("a frame of %d bytes", n)
			}
		})
	}
}

func TestDatagramsBlock(t *testing.T) {
	d, _ := newDatagramsTest(0, 1200)
	for n := range maxDatagramsOut {
		if err := d.send([]byte{byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.send(nil); !errors.Is(err, ErrBlocked) {
		t.Fatalf("error %v, want %v", err, ErrBlocked)
	}
	for n := range maxDatagramsOut {
		w := partsTestBuilder(100)
		if !d.hasFrames() || !d.appendFrame(w) {
			t.Fatalf("no frame %d", n)
		}
		if f := datagramsTestFrame(t, w.b); !bytes.Equal(f.Data, []byte{byte(n)}) {
			t.Errorf("datagram % x, want %x: out of order", f.Data, n)
		}
		if got := *w.log.at(0); got != (frameRef{kind: refDatagram, n: 1}) || !w.ackEliciting {
			t.Errorf("noted %+v, eliciting %v", got, w.ackEliciting)
		}
	}
	if d.hasFrames() || d.appendFrame(partsTestBuilder(100)) {
		t.Error("more frames than datagrams")
	}
}

func TestDatagramsFillThePacket(t *testing.T) {
	payload := bytes.Repeat([]byte{7}, 70) // a Length of two bytes
	for room, want := range map[int]struct {
		ok, noLength bool
	}{
		70: {false, false},
		71: {true, true},
		72: {true, true}, // with a byte of PADDING before
		73: {true, false},
		90: {true, false},
	} {
		d, _ := newDatagramsTest(0, 1200)
		_ = d.send(payload)
		w := partsTestBuilder(room)
		if ok := d.appendFrame(w); ok != want.ok || (!ok && len(w.b) > 0) {
			t.Errorf("room %d: appended %v, %d bytes", room, ok, len(w.b))
			continue
		}
		if !want.ok {
			continue
		}
		if f := datagramsTestFrame(t, w.b); f.NoLength != want.noLength || !bytes.Equal(f.Data, payload) {
			t.Errorf("room %d: without Length: %v, %d bytes", room, f.NoLength, len(f.Data))
		}
		// RFC 9221, section 4: without Length the data extends to the packet's end.
		if want.noLength && w.room() != 0 {
			t.Errorf("room %d: %d bytes are left after a frame without Length", room, w.room())
		}
	}
}

func TestDatagramsDropWhatThePathCannotCarry(t *testing.T) {
	d, _ := newDatagramsTest(0, 65535)
	_ = d.send(make([]byte, 1400))
	_ = d.send([]byte("small"))
	d.setPathMax(1150) // it shrank
	w := partsTestBuilder(1150)
	if !d.appendFrame(w) || d.outLost != 1 {
		t.Fatalf("dropped %d", d.outLost)
	}
	if f := datagramsTestFrame(t, w.b); string(f.Data) != "small" {
		t.Errorf("sent %d bytes", len(f.Data))
	}
}

func TestDatagramsReceiveWhatWasAllowed(t *testing.T) {
	tests := []struct {
		own  wire.ByteCount
		f    wire.Datagram
		want wire.ErrorCode
	}{
		// RFC 9221, section 3: without support MUST be a PROTOCOL_VIOLATION.
		{0, wire.Datagram{}, wire.ProtocolViolation},
		// RFC 9221, section 3: above the size advertised, type and length included, it MUST
		// be one, too.
		{10, wire.Datagram{Data: make([]byte, 8)}, wire.NoError},
		{10, wire.Datagram{Data: make([]byte, 9)}, wire.ProtocolViolation},
		{10, wire.Datagram{Data: make([]byte, 9), NoLength: true}, wire.NoError},
		{10, wire.Datagram{Data: make([]byte, 10), NoLength: true}, wire.ProtocolViolation},
		{65535, wire.Datagram{}, wire.NoError}, // RFC 9221, section 4: empty ones are allowed
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("own=%d,size=%d,nolength=%v", tt.own, len(tt.f.Data), tt.f.NoLength), func(t *testing.T) {
			d, n := newDatagramsTest(tt.own, 0)
			partsTestWantCode(t, d.receive(tt.f, nil), tt.want)
			if _, ok := d.take(); ok != (tt.want == wire.NoError) || (*n == 1) != ok {
				t.Errorf("delivered: %v, events %d", ok, *n)
			}
		})
	}
}

func TestDatagramsKeepTheirBuffer(t *testing.T) {
	d, n := newDatagramsTest(65535, 0)
	b := buf.New(2000)
	for i := range 2 {
		f := wire.Datagram{Data: b.Data[1000*i : 1000*i+900]}
		if err := d.receive(f, b); err != nil {
			t.Fatal(err)
		}
	}
	if b.Users() != 3 || d.copied != 0 || *n != 1 {
		t.Fatalf("%d users of the buffer, %d bytes copied, %d events", b.Users(), d.copied, *n)
	}
	v, _ := d.take()
	if &v.Bytes[0] != &b.Data[0] {
		t.Error("the first datagram was copied, or is not the first")
	}
	v.Release()
	d.close()
	if b.Users() != 1 {
		t.Errorf("%d users of the buffer in the end", b.Users())
	}
	// A little datagram does not pin a large buffer.
	large := buf.New(64 << 10)
	_ = d.receive(wire.Datagram{Data: large.Data[:10]}, large)
	if large.Users() != 1 || d.copied != 10 {
		t.Errorf("%d users of a large buffer, %d bytes copied", large.Users(), d.copied)
	}
}

func TestDatagramsDropTheOldestReceived(t *testing.T) {
	tests := []struct {
		name       string
		size, kept int
	}{
		{"by number", 10, maxDatagramsIn},
		{"by bytes", 60_000, maxDatagramBytesIn / 60_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := newDatagramsTest(65535, 0)
			b := buf.New(tt.size)
			const sent = 200
			for range sent {
				_ = d.receive(wire.Datagram{Data: b.Data}, b)
			}
			if d.inN != tt.kept || b.Users() != 1+tt.kept || d.inLost != uint64(sent-tt.kept) {
				t.Errorf("%d kept, %d users, %d dropped, want %d kept", d.inN, b.Users(), d.inLost, tt.kept)
			}
			d.close()
			if b.Users() != 1 || d.inBytes != 0 {
				t.Errorf("%d users, %d bytes after close", b.Users(), d.inBytes)
			}
		})
	}
}

// TestDatagramsModel sends through packets of any size into a receiver.
func TestDatagramsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, _ := newDatagramsTest(0, 300)
		to, _ := newDatagramsTest(300, 0)
		var want [][]byte
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				p := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "p")
				err := from.send(p)
				if (err == nil) != (len(p) <= 297 && from.outN <= maxDatagramsOut) && !errors.Is(err, ErrBlocked) {
					t.Fatalf("send %d bytes: %v", len(p), err)
				}
				if err == nil {
					want = append(want, p)
				}
			},
			"packet": func(t *rapid.T) {
				w := partsTestBuilder(rapid.IntRange(0, 400).Draw(t, "room"))
				if !from.appendFrame(w) {
					return
				}
				if err := to.receive(datagramsTestFrame(t, w.b), nil); err != nil {
					t.Fatalf("receive: %v", err)
				}
				v, ok := to.take()
				if !ok || !bytes.Equal(v.Bytes, want[0]) {
					t.Fatalf("took % x, %v, want % x", v.Bytes, ok, want[0])
				}
				want = want[1:]
			},
		})
	})
}

func TestDatagramsDoNotAllocate(t *testing.T) {
	from, _ := newDatagramsTest(0, 65535)
	to, _ := newDatagramsTest(65535, 0)
	w := partsTestBuilder(1200)
	b := buf.New(2000)
	p := make([]byte, 1000)
	step := func() {
		for range maxDatagramsOut {
			if err := from.send(p); err != nil {
				t.Fatal(err)
			}
		}
		for from.hasFrames() {
			w.b = w.b[:0]
			from.appendFrame(w)
			w.log.forget(w.log.next)
			_ = to.receive(wire.Datagram{Data: b.Data[:1000]}, b)
			v, _ := to.take()
			v.Release()
		}
	}
	step()
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("%v allocations per %d datagrams, want 0", n, maxDatagramsOut)
	}
}
