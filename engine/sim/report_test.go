package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func TestReportErr(t *testing.T) {
	good, bad := workload.Report{Intact: true}, workload.Report{Reason: "byte 7 is wrong"}
	tests := []struct {
		name             string
		sender, receiver workload.Report
		want             string
	}{
		{"intact", good, good, ""},
		{"the receiver saw it", good, bad, "receiver says: byte 7"},
		{"the sender was told", bad, good, "sender says: byte 7"},
		{"both know", bad, bad, "receiver says"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Report{Sender: tt.sender, Receiver: tt.receiver}.Err()
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Err = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReportGoodput(t *testing.T) {
	r := Report{Sender: workload.Report{StartNS: 1e9}, Receiver: workload.Report{Bytes: 1000, LastNS: 3e9}}
	if got := r.Goodput(); got != 4000 {
		t.Errorf("1000 bytes in 2 s are %v bit/s, want 4000", got)
	}
	r.Receiver.LastNS = 0
	if got := r.Goodput(); got != 0 {
		t.Errorf("without a last byte: %v bit/s, want 0", got)
	}
}

func TestCountersSince(t *testing.T) {
	before := emulation.Counters{
		ArrivedPackets: 1, ArrivedBytes: 2, DepartedPackets: 3, DepartedBytes: 4,
		Dropped: [...]uint64{5, 6, 7, 8, 9}, DroppedBytes: 8, DuplicatedPackets: 1, DuplicatedBytes: 2, MarkedPackets: 3, CorruptedPackets: 4, ReorderedPackets: 5, HeldPackets: 9, HeldBytes: 10,
	}
	after := emulation.Counters{
		ArrivedPackets: 101, ArrivedBytes: 202, DepartedPackets: 303, DepartedBytes: 404,
		Dropped: [...]uint64{505, 606, 707, 808, 909}, DroppedBytes: 808, DuplicatedPackets: 11, DuplicatedBytes: 22, MarkedPackets: 33, CorruptedPackets: 44, ReorderedPackets: 55, HeldPackets: 2, HeldBytes: 3,
	}
	want := emulation.Counters{
		ArrivedPackets: 100, ArrivedBytes: 200, DepartedPackets: 300, DepartedBytes: 400,
		Dropped: [...]uint64{500, 600, 700, 800, 900}, DroppedBytes: 800, DuplicatedPackets: 10, DuplicatedBytes: 20, MarkedPackets: 30, CorruptedPackets: 40, ReorderedPackets: 50, HeldPackets: 2, HeldBytes: 3,
	}
	got := LinkCounters{Link: "l", Up: after, Down: after}.since(LinkCounters{Link: "l", Up: before, Down: before})
	if diff := cmp.Diff(LinkCounters{Link: "l", Up: want, Down: want}, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestPayloadOfAnMTU(t *testing.T) {
	v4, v6 := Link{Client: fast().Client}, Link{MTU: 1500, Client: v6Address()}
	if a, b := v4.payload(), v6.payload(); a != 1472 || b != 1452 {
		t.Errorf("an MTU of 1500 takes %d bytes of UDP over IPv4 and %d over IPv6, want 1472 and 1452", a, b)
	}
}

// Certificates and tickets live in virtual time: a run must not depend on its date.
func TestIdentityKnowsVirtualTimeOnly(t *testing.T) {
	at := calendar.Add(time.Hour)
	id, err := newIdentity(1, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	if id.client.Time == nil || id.server.Time == nil || !id.client.Time().Equal(at) || !id.server.Time().Equal(at) {
		t.Error("TLS asks another clock than the simulation's")
	}
	other, err := newIdentity(2, id.client.Time)
	if err != nil {
		t.Fatal(err)
	}
	a, b := id.server.Certificates[0].Certificate[0], other.server.Certificates[0].Certificate[0]
	if len(a) != len(b) || string(a) == string(b) {
		t.Errorf("certificates of %d and %d bytes, the same: %v; want one size and two keys", len(a), len(b), string(a) == string(b))
	}
}
