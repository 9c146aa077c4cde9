package handshake

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ticket is a NewSessionTicket with an early_data extension.
func ticket(maxEarlyData ...byte) []byte {
	body := []byte{
		0, 0, 1, 0, // lifetime
		1, 2, 3, 4, // age_add
		1, 0, // nonce
		0, 2, 7, 7, // ticket
	}
	extensions := append([]byte{0, 42, 0, byte(len(maxEarlyData))}, maxEarlyData...)
	body = append(body, 0, byte(len(extensions)))
	body = append(body, extensions...)
	return append([]byte{messageNewSessionTicket, 0, 0, byte(len(body))}, body...)
}

func TestPostHandshakeMessages(t *testing.T) {
	tests := []struct {
		name string
		side wire.Perspective
		data []byte
		code wire.ErrorCode
	}{
		// RFC 9001, section 4.6.1: early_data other than 0xffffffff MUST be a
		// PROTOCOL_VIOLATION.
		{"ticket for 0-RTT", wire.Client, ticket(0xff, 0xff, 0xff, 0xff), 0},
		{"ticket with a size", wire.Client, ticket(0, 0, 0x40, 0), wire.ProtocolViolation},
		{"ticket with size 0", wire.Client, ticket(0, 0, 0, 0), wire.ProtocolViolation},
		{"a second ticket with a size", wire.Client, append(ticket(0xff, 0xff, 0xff, 0xff), ticket(0, 0, 0, 1)...), wire.ProtocolViolation},
		// RFC 9001, section 4.4: a CertificateRequest MUST be a PROTOCOL_VIOLATION.
		{"CertificateRequest", wire.Client, []byte{13, 0, 0, 3, 0, 0, 0}, wire.ProtocolViolation},
		// RFC 9001, section 6: a TLS KeyUpdate MUST be error 0x010a.
		{"KeyUpdate to a client", wire.Client, []byte{24, 0, 0, 1, 0}, 0x10a},
		{"KeyUpdate to a server", wire.Server, []byte{24, 0, 0, 1, 1}, 0x10a},
		{"its first byte alone", wire.Client, []byte{24}, 0x10a},
		{"ticket to a server", wire.Server, ticket(0xff, 0xff, 0xff, 0xff), 0x10a},
		{"CertificateRequest to a server", wire.Server, []byte{13, 0, 0, 3, 0, 0, 0}, 0x10a},
		{"Finished again", wire.Client, []byte{20, 0, 0, 0}, 0x10a},
		{"no type of TLS", wire.Client, []byte{99, 0, 0, 0}, 0x10a},
	}
	client, server := configs(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 1 << 20} {
				c, s := mustRun(t, client, server)
				to, from := c, s
				if tt.side == wire.Server {
					to, from = s, c
				}
				from.data = []Event{{Kind: EventCrypto, Level: LevelOneRTT, Data: tt.data}}
				err := to.take(from, piece)
				if tt.code != 0 {
					wantCode(t, err, tt.code)
				} else if err != nil {
					t.Errorf("in pieces of %d: %v", piece, err)
				}
			}
		})
	}
}

// A message that is too long to keep is skipped, not kept; crypto/tls refuses it.
func TestPostHandshakeSkipsLongMessages(t *testing.T) {
	p := postHandshake{side: wire.Client}
	data := append([]byte{messageNewSessionTicket, 1, 0, 1}, make([]byte, 1<<16+1)...)
	data = append(data, 24)
	for i, b := range data {
		err := p.take([]byte{b})
		if len(p.message) > 4 {
			t.Fatalf("byte %d: %d bytes are kept", i, len(p.message))
		}
		if last := i == len(data)-1; (err != nil) != last {
			t.Fatalf("byte %d of %d: %v", i, len(data), err)
		}
	}
	client, server := configs(t)
	c, _ := mustRun(t, client, server)
	if err := c.HandleCrypto(LevelOneRTT, data[:5]); err == nil {
		t.Error("crypto/tls took a message of more than 64 KiB")
	}
}

func FuzzPostHandshake(f *testing.F) {
	f.Add(ticket(0, 0, 0, 1), uint8(3))
	f.Add([]byte{messageNewSessionTicket, 0xff, 0xff, 0xff, 0}, uint8(1))
	f.Add([]byte{messageNewSessionTicket, 0, 0, 0, 24}, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		whole, parts := postHandshake{}, postHandshake{}
		want := whole.take(data)
		n := max(1, int(piece))
		for len(data) > 0 {
			cut := min(n, len(data))
			if got := parts.take(data[:cut]); got != nil {
				if want == nil || got.Code != want.Code {
					t.Fatalf("in pieces %v, in one %v", got, want)
				}
				return
			}
			data = data[cut:]
		}
		if want != nil {
			t.Fatalf("in pieces none, in one %v", want)
		}
	})
}
