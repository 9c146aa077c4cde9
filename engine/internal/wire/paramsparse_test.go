package wire

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// RFC 9000, section 7.4.2: unknown parameters MUST be ignored.
func TestUnknownParametersAreIgnored(t *testing.T) {
	p, err := ParseTransportParameters(unhex(t, "1b03 112233 fffffffffffffff800 040107"), Client)
	want := DefaultTransportParameters()
	want.InitialMaxData = 7
	if diff := diffValues(p, want); diff != "" || err != nil {
		t.Errorf("error %v; got + want -:\n%s", err, diff)
	}
}

// RFC 9000, sections 7.4 and 18.2: each of these MUST (duplicates: SHOULD) be a
// TRANSPORT_PARAMETER_ERROR.
func TestParseTransportParametersRefuses(t *testing.T) {
	id := hex.EncodeToString(longID(21))
	zeros := func(n int) string { return strings.Repeat("00", n) }
	tests := []struct {
		name string
		from Perspective
		in   string
	}{
		{"identifier cut", Server, "40"},
		{"no length", Server, "04"},
		{"value cut", Server, "0402 01"},
		{"sent twice", Server, "040101 040101"},
		{"unknown one sent twice", Server, "1b00 1b00"},
		{"original_destination_connection_id of a client", Client, "0000"},
		{"stateless_reset_token of a client", Client, "0210" + zeros(16)},
		{"preferred_address of a client", Client, "0d2a" + zeros(24) + "01 01" + zeros(16)},
		{"retry_source_connection_id of a client", Client, "1000"},
		{"ID of 21 bytes", Server, "0f15" + id},
		{"reset token of 15 bytes", Server, "020f" + zeros(15)},
		{"reset token of 17 bytes", Server, "0211" + zeros(17)},
		{"integer of no bytes", Server, "0400"},
		{"integer and more", Server, "0402 0101"},
		{"integer cut", Server, "0401 40"},
		{"max_udp_payload_size 1199", Server, "0302 44af"},
		// Section 4.6: more streams than have an ID MUST be one, too.
		{"2^60+1 bidirectional streams", Server, "0808 d000000000000001"},
		{"2^60+1 unidirectional streams", Server, "0908 d000000000000001"},
		{"ack_delay_exponent 21", Server, "0a01 15"},
		{"ack_delay_exponent 256", Server, "0a02 4100"},
		{"max_ack_delay 2^14 ms", Server, "0b04 80004000"},
		{"max_ack_delay 2^62-1 ms", Server, "0b08 ffffffffffffffff"},
		{"disable_active_migration with a value", Server, "0c01 00"},
		{"active_connection_id_limit 1", Server, "0e01 01"},
		{"preferred_address without an ID", Server, "0d29" + zeros(24) + "00" + zeros(16)},
		{"preferred_address with 21 bytes of ID", Server, "0d3e" + zeros(24) + "15" + id + zeros(16)},
		{"preferred_address cut", Server, "0d29" + zeros(24) + "01 01" + zeros(15)},
		{"preferred_address and more", Server, "0d2b" + zeros(24) + "01 01" + zeros(17)},
		// RFC 9287, section 3: a value MUST be an error.
		{"grease_quic_bit with a value", Server, "6ab201 00"},
		// draft-ietf-quic-multipath-21, section 2.1: above 2^32-1 MUST be one.
		{"initial_max_path_id 2^32", Server, "3e08 c000000100000000"},
		// draft-ietf-quic-ack-frequency, section 3: above max_ack_delay MUST be one.
		{"min_ack_delay above the default max_ack_delay", Server, "c0000000ff04de1b 04 800061a9"},
		{"min_ack_delay above a later max_ack_delay", Server, "c0000000ff04de1b 02 43e9 0b01 01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseTransportParameters(unhex(t, tt.in), tt.from)
			if e, ok := errors.AsType[*TransportError](err); !ok || e.Code != TransportParameterError {
				t.Errorf("error is %v, want %v; parsed %+v", err, TransportParameterError, p)
			}
		})
	}
}

func TestParseTransportParametersAccepts(t *testing.T) {
	tests := []struct {
		name, in string
		change   func(p *TransportParameters)
	}{
		{"the smallest payload", "0302 44b0", func(p *TransportParameters) { p.MaxUDPPayload = 1200 }},
		{"a payload above 65527", "0304 80010000", func(p *TransportParameters) { p.MaxUDPPayload = 65536 }},
		{"a timeout longer than a Duration", "0108 ffffffffffffffff", func(p *TransportParameters) { p.MaxIdleTimeout = math.MaxInt64 }},
		{"the longest max_ack_delay", "0b02 7fff", func(p *TransportParameters) { p.MaxAckDelay = 16383 * time.Millisecond }},
		{"the largest exponent", "0a01 14", func(p *TransportParameters) { p.AckDelayExponent = 20 }},
		{"integers in a longer form", "0e08 c000000000000002", func(*TransportParameters) {}},
		{"2^60 streams", "0808 d000000000000000", func(p *TransportParameters) { p.InitialMaxStreamsBidi = MaxStreamCount }},
		{"multipath without more paths", "3e01 00", func(p *TransportParameters) { p.HasMultipath = true }},
		{"min_ack_delay as long as max_ack_delay", "c0000000ff04de1b 04 800061a8", func(p *TransportParameters) {
			p.MinAckDelay, p.HasMinAckDelay = 25*time.Millisecond, true
		}},
		{"an empty connection ID", "0f00", func(p *TransportParameters) { p.HasInitialSrcID = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := DefaultTransportParameters()
			tt.change(&want)
			got, err := ParseTransportParameters(unhex(t, tt.in), Client)
			if diff := diffValues(got, want); diff != "" || err != nil {
				t.Errorf("error %v; got + want -:\n%s", err, diff)
			}
		})
	}
}

// FuzzTransportParameters: what parses appends to parameters that parse to the same.
func FuzzTransportParameters(f *testing.F) {
	p := DefaultTransportParameters()
	p.HasOriginalDstID, p.HasResetToken, p.HasMinAckDelay, p.HasMultipath, p.GreaseBit = true, true, true, true, true
	p.MaxIdleTimeout, p.InitialMaxData, p.Grease = time.Minute, 1<<30, 58
	p.PreferredAddress.ID, p.HasPreferredAddress = NewConnID([]byte{1}), true
	f.Add(p.Append(nil, Server), true)
	f.Add(p.Append(nil, Client), false)
	f.Fuzz(func(t *testing.T, b []byte, server bool) {
		from := Client
		if server {
			from = Server
		}
		p, err := ParseTransportParameters(b, from)
		if err != nil {
			if e, ok := errors.AsType[*TransportError](err); !ok || e.Code != TransportParameterError {
				t.Fatalf("error is %v, want %v", err, TransportParameterError)
			}
			return
		}
		if p.MaxIdleTimeout == math.MaxInt64 {
			return // longer than a Duration: cannot be sent again
		}
		again := p.Append(nil, from)
		q, err := ParseTransportParameters(again, from)
		if diff := diffValues(q, p); diff != "" || err != nil {
			t.Fatalf("%x became %x; error %v; got + want -:\n%s", b, again, err, diff)
		}
	})
}
