package handshake

import (
	"bytes"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// retryVector is the packet of RFC 9001, appendix A.4, and what it answers.
func retryVector(t testing.TB) (wire.ConnID, []byte) {
	return wire.NewConnID(unhex(t, "8394c8f03e515708")),
		unhex(t, "ff000000010008f067a5502a4262b574 6f6b656e04a265ba2eff4d829058fb3f 0f2496ba")
}

// RFC 9001, appendix A.4.
func TestRetryTag(t *testing.T) {
	id, packet := retryVector(t)
	tag := RetryTag(id, packet[:len(packet)-16])
	wantBytes(t, "tag", tag[:], "04a265ba2eff4d829058fb3f0f2496ba")
}

// RFC 9000, section 17.2.5.2: clients MUST discard Retry packets with a wrong tag.
func TestCheckRetry(t *testing.T) {
	id, packet := retryVector(t)
	if !CheckRetry(id, packet) {
		t.Error("the RFC's packet was refused")
	}
	for i := range packet {
		damaged := bytes.Clone(packet)
		damaged[i] ^= 0x10
		if CheckRetry(id, damaged) {
			t.Errorf("a packet with byte %d changed was accepted", i)
		}
	}
	if CheckRetry(wire.NewConnID([]byte{1}), packet) {
		t.Error("a packet that answers another connection was accepted")
	}
	for n := range 16 {
		if CheckRetry(id, packet[:n]) {
			t.Errorf("%d bytes were accepted", n)
		}
	}
}

func FuzzCheckRetry(f *testing.F) {
	id, packet := retryVector(f)
	f.Add(id.Bytes(), packet)
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id, packet []byte) {
		if len(id) > wire.MaxConnIDLen {
			return
		}
		c := wire.NewConnID(id)
		tag := RetryTag(c, packet)
		if !CheckRetry(c, append(bytes.Clone(packet), tag[:]...)) {
			t.Fatal("our own tag was refused")
		}
		if n := len(packet) - 16; CheckRetry(c, packet) {
			if want := RetryTag(c, packet[:n]); !bytes.Equal(want[:], packet[n:]) {
				t.Fatal("a wrong tag was accepted")
			}
		}
	})
}
