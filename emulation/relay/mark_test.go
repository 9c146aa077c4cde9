package relay

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
)

// ipv4Frame is a UDP packet of a header with its checksum and some payload.
func ipv4Frame(tos byte) []byte {
	frame := make([]byte, ethernetHeader+ipv4Header+40)
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)
	ip := frame[ethernetHeader:]
	copy(ip, []byte{0x45, tos, 0, 60, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 1, 2, 3, 10, 4, 5, 6})
	binary.BigEndian.PutUint16(ip[10:], ^onesSum(ip[:ipv4Header]))
	return frame
}

func ipv6Frame(class byte) []byte {
	frame := make([]byte, ethernetHeader+ipv6Header+40)
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv6)
	frame[ethernetHeader], frame[ethernetHeader+1] = 0x60|class>>4, class<<4
	return frame
}

// onesSum is the sum that an IPv4 header with a right checksum has as 0xffff
// (RFC 791, section 3.1).
func onesSum(header []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestMarkCE(t *testing.T) {
	for _, tc := range []struct {
		name  string
		frame []byte
		want  emulation.ECN
	}{
		{"IPv4 ECT(0)", ipv4Frame(0xb8 | 2), emulation.ECT0},
		{"IPv4 ECT(1)", ipv4Frame(1), emulation.ECT1},
		{"IPv4 all bits of the class", ipv4Frame(0xfc | 2), emulation.ECT0},
		{"IPv6 ECT(0)", ipv6Frame(0xb8 | 2), emulation.ECT0},
		{"IPv6 ECT(1)", ipv6Frame(1), emulation.ECT1},
		{"CE already", ipv4Frame(3), emulation.CE},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := codepoint(tc.frame); got != tc.want {
				t.Errorf("codepoint %d, want %d", got, tc.want)
			}
			before := bytes.Clone(tc.frame)
			setCE(tc.frame)
			if got := codepoint(tc.frame); got != emulation.CE {
				t.Errorf("codepoint %d after the mark, want CE", got)
			}
			if ip := tc.frame[ethernetHeader:]; ip[0]>>4 == 4 && onesSum(ip[:ipv4Header]) != 0xffff {
				t.Error("the header's checksum is wrong")
			}
			if ip := tc.frame[ethernetHeader:]; ip[0] != before[ethernetHeader] || !bytes.Equal(ip[12:], before[ethernetHeader+12:]) {
				t.Error("the mark changed something else")
			}
		})
	}
}

func TestNoMarkWithoutIPHeader(t *testing.T) {
	whole := ipv4Frame(2)
	options := ipv4Frame(2)
	options[ethernetHeader] = 0x4f // says that it has 60 bytes, as many as there are
	for name, frame := range map[string][]byte{
		"empty": {}, "short": whole[:10], "half a header": whole[:ethernetHeader+10],
		"options beyond the end": options[:ethernetHeader+50],
		"other protocol":         append(make([]byte, 12), 0x08, 0x06, 0x45, 2),
	} {
		before := bytes.Clone(frame)
		setCE(frame)
		if codepoint(frame) != emulation.NotECT || !bytes.Equal(frame, before) {
			t.Errorf("%s: has the codepoint %d and became %x from %x", name, codepoint(frame), frame, before)
		}
	}
}

func TestFlipInvertsOneBitOfThePayload(t *testing.T) {
	for _, which := range []uint32{0, 7, 8, 319, 320, 1<<32 - 1} {
		frame := ipv4Frame(0)
		before := bytes.Clone(frame)
		flip(frame, which)
		different := 0
		for i := range frame {
			for b := frame[i] ^ before[i]; b != 0; b &= b - 1 {
				different++
				if i < ethernetHeader+ipv4Header {
					t.Errorf("bit %d lies in the headers", which)
				}
			}
		}
		if different != 1 {
			t.Errorf("%d bits differ, want 1", different)
		}
	}
	flip(nil, 1)
	flip(make([]byte, ethernetHeader), 1)
}

// What the model adds goes over the wire, each copy whole and behind its original,
// and what it drops late is counted.
func TestRelayDoesWhatTheModelSays(t *testing.T) {
	r := newRig(t)
	r.start(Wire{Up: emulation.Impairments{
		Rate: 50e6, Duplicate: 1, Queue: emulation.Queue{Packets: 20, Discipline: emulation.DropHead},
	}})
	r.quiet()
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(10, 0)
	f.receive(20)
	for i, n := range f.got {
		if n != uint32(i/2) {
			t.Fatalf("datagrams %v, want each twice, in order", f.got)
		}
	}
	f.send(200, 0)
	s := r.until("an idle wire", func(s WireStatus) bool { return s.Up.ArrivedPackets >= 210 && s.Up.HeldPackets == 0 })
	if s.Up.Dropped["queue"] == 0 || s.Up.Duplicated != s.Up.ArrivedPackets {
		t.Errorf("%+v: want drops, and a copy of each", s.Up)
	}
	if s.Up.ArrivedPackets+s.Up.Duplicated != s.Up.DepartedPackets+s.Up.Dropped["queue"] || s.Up.RelayDrops.Total() != 0 {
		t.Errorf("the counts do not add up: %+v", s.Up)
	}
}

func TestSpecValidate(t *testing.T) {
	limited := emulation.Impairments{Rate: 1e6}
	delayed := emulation.Change{Patch: emulation.Patch{Fields: emulation.FieldReorder, Values: emulation.Impairments{Reorder: emulation.Reorder{Probability: 1}}}}
	for _, tc := range []struct {
		name, want string
		spec       Spec
	}{
		{"all that the model does", "", Spec{Wires: []Wire{{
			Link: "a", Ports: [2]int{1, 2}, UpTimeline: emulation.Timeline{{Patch: emulation.Patch{Fields: emulation.FieldBlackhole}}},
			Up: emulation.Impairments{MTU: 1400, TooBig: emulation.TooBigICMP, Duplicate: 0.1, Corrupt: 0.1, LoseEvery: 3},
		}}}},
		{"timeline of the other way", "link a down: timeline: from 0s on: reordering needs a delay", Spec{Wires: []Wire{{
			Link: "a", Ports: [2]int{1, 2}, Up: limited, DownTimeline: emulation.Timeline{delayed},
		}}}},
		{"start", `start "noon" is unknown: want nothing, up or manual`, Spec{Start: "noon", Wires: []Wire{{Link: "a", Ports: [2]int{1, 2}}}}},
	} {
		err := tc.spec.validate(3)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
