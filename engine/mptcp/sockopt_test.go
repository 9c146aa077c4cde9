package mptcp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

func TestProbe(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "enabled")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := map[string]struct{ path, says string }{
		"on":  {file("1\n"), ""},
		"off": {file("0\n"), "sysctl -w net.mptcp.enabled=1"},
		"not": {filepath.Join(t.TempDir(), "nothing"), "CONFIG_MPTCP"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := probeAt(test.path)
			if test.says == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it unsupported and to say %q", err, test.says)
			}
		})
	}
}

// answer returns what the kernel answers with n records of the given size.
func answer(n, size int) []byte {
	b := make([]byte, subflowDataSize+n*size)
	binary.NativeEndian.PutUint32(b[0:], subflowDataSize)
	binary.NativeEndian.PutUint32(b[4:], uint32(n))
	binary.NativeEndian.PutUint32(b[8:], uint32(size))
	binary.NativeEndian.PutUint32(b[12:], uint32(size))
	return b
}

func FuzzSubflowAddrs(f *testing.F) {
	one := answer(1, subflowAddrsSize)
	binary.NativeEndian.PutUint16(one[subflowDataSize:], unix.AF_INET)
	binary.NativeEndian.PutUint16(one[subflowDataSize+128:], unix.AF_INET6)
	f.Add(one)
	f.Add(answer(2, subflowAddrsSize))
	f.Add(answer(1, 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := splitRecords(b, subflowAddrsSize)
		if err != nil {
			return
		}
		for _, r := range records {
			if local, remote, err := parseAddrs(r); err == nil && !(local.IsValid() && remote.IsValid()) {
				t.Fatalf("took %x as %v and %v", r, local, remote)
			}
		}
	})
}

func TestPathsAreJudged(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.1.1")
	paths := []engine.Path{{Local: netip.AddrPortFrom(a, 0)}, {Local: netip.AddrPortFrom(b, 0)}}
	flow := func(local netip.Addr, state uint8, change func(*unix.TCPInfo)) subflow {
		f := subflow{local: local, info: unix.TCPInfo{State: state, Segs_out: 100, Rtt: 1000}}
		if change != nil {
			change(&f.info)
		}
		return f
	}
	both := []subflow{flow(a, unix.BPF_TCP_ESTABLISHED, nil), flow(b, unix.BPF_TCP_ESTABLISHED, nil)}
	tests := map[string]struct {
		flows []subflow
		dead  [2]bool
	}{
		"both up":       {both, [2]bool{}},
		"one is gone":   {both[:1], [2]bool{false, true}},
		"all are gone":  {nil, [2]bool{}},
		"ending":        {[]subflow{flow(a, unix.BPF_TCP_FIN_WAIT1, nil)}, [2]bool{}},
		"joining again": {[]subflow{both[0], flow(b, unix.BPF_TCP_SYN_SENT, nil)}, [2]bool{false, true}},
		"silent": {[]subflow{both[0], flow(b, unix.BPF_TCP_ESTABLISHED, func(i *unix.TCPInfo) {
			i.Unacked, i.Retransmits, i.Last_ack_recv = 10, 3, 1500
		})}, [2]bool{false, true}},
		"a single timeout": {[]subflow{both[0], flow(b, unix.BPF_TCP_ESTABLISHED, func(i *unix.TCPInfo) {
			i.Unacked, i.Retransmits, i.Last_ack_recv = 10, 1, 300
		})}, [2]bool{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRecord(len(paths))
			r.update(both, paths)
			r.update(test.flows, paths)
			for i, p := range r.stats() {
				if p.Dead != test.dead[i] {
					t.Errorf("path %d is dead: %t, want %t", i, p.Dead, test.dead[i])
				}
				if p.SentPackets != 100 {
					t.Errorf("path %d sent %d packets, want the 100 last seen", i, p.SentPackets)
				}
			}
		})
	}
}
