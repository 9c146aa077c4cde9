package relay

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// sending is what an endpoint sends with one call: the test's own idea of the unit
// and of its wire packets, made from the fields and not from bytes.
type sending struct {
	version  int // of IP
	udp      bool
	options  int // bytes of IPv4 options
	tcpExtra int // bytes of TCP options
	tos      byte
	id       uint16
	seq      uint32
	flags    byte
	size     int // of a segment
	payload  []byte
}

func (s sending) packets() int { return (len(s.payload) + s.size - 1) / s.size }

// run returns a run of the sending's wire packets: one as it goes over a wire, more
// as the unit that a kernel would make of them, with its vnet header.
func (s sending) run(first, count int, ce bool) (vnetHeader, []byte) {
	payload := s.payload[first*s.size : min((first+count)*s.size, len(s.payload))]
	if ce {
		s.tos |= 3
	}
	transport := s.transport(first, count, len(payload))
	place, protocol, kind := 16, byte(6), map[int]byte{4: 1, 6: 4}[s.version]
	if s.udp {
		place, protocol, kind = 6, 17, 5
	}
	ip, pseudo := s.network(first, len(transport)+len(payload), protocol)
	frame := append([]byte{0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00}, ip...)
	if s.version == 6 {
		frame[12], frame[13] = 0x86, 0xdd
	}
	start := len(frame)
	if count > 1 {
		v := vnetHeader{
			flags: 1, gsoType: kind, headerLength: uint16(start + len(transport)), segmentSize: uint16(s.size),
			checksumStart: uint16(start), checksumOffset: uint16(place),
		}
		if !s.udp && transport[13]&0x80 != 0 {
			v.gsoType |= 0x80
		}
		binary.BigEndian.PutUint16(transport[place:], onesSum(pseudo))
		return v, append(append(frame, transport...), payload...)
	}
	covered := bytes.Join([][]byte{pseudo, transport, payload}, nil)
	if len(covered)%2 != 0 {
		covered = append(covered, 0)
	}
	sum := ^onesSum(covered)
	if s.udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(transport[place:], sum)
	return vnetHeader{}, append(append(frame, transport...), payload...)
}

func (s sending) transport(first, count, payload int) []byte {
	if s.udp {
		return []byte{0x0f, 0xa0, 0x11, 0x51, byte((8 + payload) >> 8), byte(8 + payload), 0, 0}
	}
	flags := s.flags
	if first > 0 {
		flags &^= 0x80 // CWR
	}
	if first+count < s.packets() {
		flags &^= 0x09 // PSH, FIN
	}
	h := make([]byte, 20+s.tcpExtra)
	copy(h, []byte{0x9c, 0x40, 0x01, 0xbb})
	binary.BigEndian.PutUint32(h[4:], s.seq+uint32(first*s.size))
	copy(h[8:], []byte{1, 2, 3, 4, byte(len(h)/4) << 4, flags, 0x10, 0x20})
	for i := 20; i < len(h); i++ {
		h[i] = byte(i)
	}
	return h
}

// network returns the IP header and the pseudo-header.
func (s sending) network(first, length int, protocol byte) (header, pseudo []byte) {
	var addresses []byte
	if s.version == 6 {
		header = make([]byte, 40)
		copy(header, []byte{0x60 | s.tos>>4, s.tos<<4 | 0x0a, 0xbc, 0xde, byte(length >> 8), byte(length), protocol, 64})
		for i := 8; i < 40; i++ {
			header[i] = byte(3 * i)
		}
		addresses = header[8:]
	} else {
		header = make([]byte, 20+s.options)
		total, id := 20+s.options+length, s.id+uint16(first)
		copy(header, []byte{0x40 | byte(5+s.options/4), s.tos, byte(total >> 8), byte(total), byte(id >> 8), byte(id), 0x40, 0, 64, protocol})
		copy(header[12:], []byte{10, 1, 2, 3, 10, 200, 5, 6})
		for i := 20; i < len(header); i++ {
			header[i] = 1 // no operation
		}
		binary.BigEndian.PutUint16(header[10:], ^onesSum(header))
		addresses = header[12:20]
	}
	return header, append(bytes.Clone(addresses), 0, protocol, byte(length>>8), byte(length))
}

func drawSending(t *rapid.T) sending {
	s := sending{
		version:  rapid.SampledFrom([]int{4, 6}).Draw(t, "version"),
		udp:      rapid.Bool().Draw(t, "udp"),
		options:  4 * rapid.IntRange(0, 10).Draw(t, "options"),
		tcpExtra: 4 * rapid.IntRange(0, 10).Draw(t, "tcp options"),
		tos:      rapid.Byte().Draw(t, "tos"),
		id:       rapid.Uint16().Draw(t, "id"),
		seq:      rapid.Uint32().Draw(t, "seq"),
		flags:    rapid.Byte().Draw(t, "flags"),
		size:     rapid.IntRange(1, 1380).Draw(t, "size"),
	}
	length := rapid.IntRange(s.size+1, min(65000, 100*s.size+1)).Draw(t, "payload")
	fill := rapid.Uint64().Draw(t, "fill")
	s.payload = make([]byte, length)
	for i := range s.payload {
		fill = fill*6364136223846793005 + 1442695040888963407
		s.payload[i] = byte(fill >> 56)
	}
	return s
}

// Any run of a unit's wire packets has the bytes that a sender would have given
// them, checksums and all.
func TestRunsAreAsTheSenderWouldMakeThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSending(t)
		vnet, frame := s.run(0, s.packets(), false)
		before := bytes.Clone(frame)
		parts, ok := split(vnet, frame)
		if !ok || parts.count != s.packets() {
			t.Fatalf("split finds %d packets, %v; want %d", parts.count, ok, s.packets())
		}
		first := rapid.IntRange(0, parts.count-1).Draw(t, "first")
		count := rapid.IntRange(1, parts.count-first).Draw(t, "count")
		ecn, ce := emulation.ECT0, rapid.Bool().Draw(t, "ce")
		if ce {
			ecn = emulation.CE
		}
		var dst [maxHeaders]byte
		n, gotVnet := parts.headers(dst[:], frame, first, count, ecn)
		got := append(dst[:n:n], parts.part(frame, first, count)...)
		wantVnet, want := s.run(first, count, ce)
		if gotVnet != wantVnet || !bytes.Equal(got, want) {
			t.Fatalf("packets %d+%d of %d: got %+v\n%x\nwant %+v\n%x", first, count, parts.count, gotVnet, got, wantVnet, want)
		}
		if count == 1 && parts.length(frame, first) != len(want) {
			t.Fatalf("packet %d has %d bytes, want %d", first, parts.length(frame, first), len(want))
		}
		if !bytes.Equal(frame, before) {
			t.Fatal("the unit's own bytes have changed")
		}
	})
}

func TestChecksumLeftToDoIsFinished(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    sending
	}{
		{"IPv4 TCP", sending{version: 4, size: 100, payload: make([]byte, 77)}},
		{"IPv6 TCP", sending{version: 6, size: 100, payload: []byte("odd")}},
		{"IPv4 UDP", sending{version: 4, udp: true, size: 100, payload: []byte("even")}},
		{"IPv6 UDP", sending{version: 6, udp: true, size: 100, payload: make([]byte, 33)}},
		// The payload makes the sum 0xffff, so that its complement would say "none".
		{"UDP zero", sending{version: 4, udp: true, size: 100, payload: zeroSumPayload()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, want := tc.s.run(0, 1, false)
			frame := bytes.Clone(want)
			v := vnetHeader{flags: vnetNeedsChecksum, checksumStart: 34, checksumOffset: 16}
			protocol := byte(6)
			if tc.s.version == 6 {
				v.checksumStart = 54
			}
			if tc.s.udp {
				v.checksumOffset, protocol = 6, 17
			}
			length := len(frame) - int(v.checksumStart)
			_, pseudo := tc.s.network(0, length, protocol)
			binary.BigEndian.PutUint16(frame[v.checksumStart+v.checksumOffset:], onesSum(pseudo))
			parts, ok := split(v, frame)
			if !ok || parts.kind != wholePacket || parts.count != 1 || parts.length(frame, 0) != len(frame) {
				t.Fatalf("split = %+v, %v", parts, ok)
			}
			if diff := cmp.Diff(want, frame); diff != "" {
				t.Errorf("finished packet (-want +got):\n%s", diff)
			}
		})
	}
}

// zeroSumPayload makes a UDP checksum over it come out as 0.
func zeroSumPayload() []byte {
	s := sending{version: 4, udp: true, size: 100, payload: make([]byte, 2)}
	_, frame := s.run(0, 1, false)
	return frame[40:42] // what the rest lacks to 0xffff
}

func TestSplitRefuses(t *testing.T) {
	tcp := sending{version: 4, size: 1000, payload: make([]byte, 5000)}
	tcp6 := sending{version: 6, size: 1000, payload: make([]byte, 5000)}
	udp := sending{version: 4, udp: true, size: 1000, payload: make([]byte, 5000)}
	for _, tc := range []struct {
		name   string
		s      sending
		change func(v *vnetHeader, frame []byte) []byte
	}{
		{"no segment size", tcp, func(v *vnetHeader, f []byte) []byte { v.segmentSize = 0; return f }},
		{"too many segments", tcp, func(v *vnetHeader, f []byte) []byte { v.segmentSize = 1; return f }},
		{"unknown kind", tcp, func(v *vnetHeader, f []byte) []byte { v.gsoType = 3; return f }},
		{"kind of another protocol", tcp, func(v *vnetHeader, f []byte) []byte { v.gsoType = 5; return f }},
		{"kind of another version", tcp, func(v *vnetHeader, f []byte) []byte { v.gsoType = 4; return f }},
		{"UDP as TCP", udp, func(v *vnetHeader, f []byte) []byte { v.gsoType = 1; return f }},
		{"a fragment", tcp, func(_ *vnetHeader, f []byte) []byte { f[20] |= 0x20; return f }},
		{"IPv4 length beyond the end", tcp, func(_ *vnetHeader, f []byte) []byte { return f[:len(f)-1] }},
		{"IPv6 length beyond the end", tcp6, func(_ *vnetHeader, f []byte) []byte { return f[:len(f)-1] }},
		{"TCP header below its least", tcp, func(_ *vnetHeader, f []byte) []byte { f[46] = 0x40; return f }},
		{"no payload", tcp, func(_ *vnetHeader, f []byte) []byte {
			binary.BigEndian.PutUint16(f[16:], 40)
			return f[:54]
		}},
		{"no IP", tcp, func(_ *vnetHeader, f []byte) []byte { f[12] = 0x88; return f }},
		{"half an Ethernet header", tcp, func(_ *vnetHeader, f []byte) []byte { return f[:7] }},
		{"checksum outside", tcp, func(v *vnetHeader, f []byte) []byte {
			*v = vnetHeader{flags: vnetNeedsChecksum, checksumStart: 65000, checksumOffset: 600}
			return f
		}},
		{"checksum in the Ethernet header", tcp, func(v *vnetHeader, f []byte) []byte {
			*v = vnetHeader{flags: vnetNeedsChecksum}
			return f
		}},
		{"SCTP's checksum", tcp, func(v *vnetHeader, f []byte) []byte {
			f[23] = 132
			*v = vnetHeader{flags: vnetNeedsChecksum, checksumStart: 34, checksumOffset: 8}
			return f
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vnet, frame := tc.s.run(0, tc.s.packets(), false)
			if _, ok := split(vnet, bytes.Clone(frame)); !ok {
				t.Fatal("the unit is refused before the change")
			}
			frame = tc.change(&vnet, frame)
			if parts, ok := split(vnet, frame); ok {
				t.Errorf("taken apart as %+v", parts)
			}
		})
	}
}

// Whatever a frame and its header say, it is taken apart into wire packets that
// cover its payload, or refused.
func FuzzSplit(f *testing.F) {
	for _, s := range []sending{
		{version: 4, size: 100, payload: make([]byte, 250)},
		{version: 6, size: 100, payload: make([]byte, 250), tcpExtra: 12},
		{version: 4, udp: true, size: 100, payload: make([]byte, 250)},
	} {
		v, frame := s.run(0, 3, false)
		f.Add(append(make([]byte, vnetSize), frame...))
		unit := append(make([]byte, vnetSize), frame...)
		v.write(unit)
		f.Add(unit)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < vnetSize || len(data) > vnetSize+maxUnit {
			return
		}
		vnet, frame := readVnet(data), data[vnetSize:]
		parts, ok := split(vnet, frame)
		if !ok {
			return
		}
		if parts.count < 1 || parts.count > maxSegments {
			t.Fatalf("%d wire packets", parts.count)
		}
		covered := 0
		for i := range parts.count {
			var dst [maxHeaders]byte
			n, _ := parts.headers(dst[:], frame, i, 1, emulation.CE)
			part := parts.part(frame, i, 1)
			if n+len(part) != parts.length(frame, i) {
				t.Fatalf("packet %d: %d and %d bytes, want %d", i, n, len(part), parts.length(frame, i))
			}
			covered += len(part)
		}
		if covered != len(frame)-parts.payload {
			t.Fatalf("%d bytes of payload, want %d", covered, len(frame)-parts.payload)
		}
		var dst [maxHeaders]byte
		parts.headers(dst[:], frame, 0, parts.count, emulation.NotECT)
	})
}

func FuzzVnetHeader(f *testing.F) {
	f.Add([]byte{1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < vnetSize {
			return
		}
		var got [vnetSize]byte
		readVnet(data).write(got[:])
		if !bytes.Equal(got[:], data[:vnetSize]) {
			t.Errorf("%x becomes %x", data[:vnetSize], got)
		}
	})
}

func TestReleaseAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.2.0": true, "6.18.44-fc-v657": true, "7.0": true, "6.10-rc1": true,
		"6.1.0-37-amd64": false, "5.15.0": false, "4.19": false,
	} {
		if got, err := releaseAtLeast(release, 6, 2); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", release, got, err, want)
		}
	}
	for _, release := range []string{"", "six.two", "6", "6."} {
		if _, err := releaseAtLeast(release, 6, 2); err == nil {
			t.Errorf("%q is understood", release)
		}
	}
}
