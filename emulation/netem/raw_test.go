package netem

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// told is a message of the kernel's about a netem with these options, and about
// nothing else; nl builds it.
func told(o *options, more ...*nl.RtAttr) []byte {
	about := nl.TcMsg{Ifindex: 3, Handle: handle, Parent: netlink.HANDLE_ROOT}
	b := slices.Clone(about.Serialize())
	b = append(b, nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("netem")).Serialize()...)
	b = append(b, o.encode().Serialize()...)
	for _, a := range more {
		b = append(b, a.Serialize()...)
	}
	return b
}

// TestRawReturns says that what encode writes decode reads, tables excepted.
func TestRawReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := func(label string) uint32 { return rapid.Uint32().Draw(t, label) }
		long := func(label string) int64 { return rapid.Int64().Draw(t, label) }
		o := options{
			latency: long("latency"), jitter: long("jitter"), nanoseconds: true,
			limit: word("limit"), loss: word("loss"), duplicate: word("duplicate"), gap: word("gap"),
			reorder: word("reorder"), corrupt: word("corrupt"), ecn: word("ecn"),
			rate: rate{uint64(long("rate")), int32(word("overhead")), word("cell"), int32(word("cell overhead"))},
			slot: slot{long("min"), long("max"), int32(word("packets")), int32(word("bytes")), long("delay"), long("spread")},
			seed: uint64(long("seed")), seeded: true,
		}
		for i := range o.correlations {
			o.correlations[i] = word("correlation")
		}
		o.model.kind = uint16(rapid.IntRange(0, 2).Draw(t, "model"))
		for i := range o.model.size() {
			if o.model.kind != 0 {
				o.model.parameters[i] = word("parameter")
			}
		}
		sent := o
		sent.delayTable = rapid.SliceOfN(rapid.Int16(), 1, 100).Draw(t, "delays")
		sent.slotTable = rapid.SliceOfN(rapid.Int16(), 1, 100).Draw(t, "slots")
		got, err := decodeQdisc(told(&sent))
		if err != nil {
			t.Fatal(err)
		}
		want := qdisc{index: 3, handle: handle, parent: netlink.HANDLE_ROOT, kind: "netem", netem: o}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(qdisc{}, options{}, rate{}, lossModel{}, slot{})); diff != "" {
			t.Fatalf("decoded (-want +got):\n%s", diff)
		}
	})
}

// TestKeepSlot says that a slot which goes on is not in the message: one that is
// starts anew.
func TestKeepSlot(t *testing.T) {
	o := options{slot: slot{min: 1, max: 2}, keepSlot: true}
	got, err := decodeQdisc(told(&o))
	if err != nil || got.netem.slot != (slot{}) {
		t.Errorf("got %+v, %v", got.netem.slot, err)
	}
}

func TestDecodeCounters(t *testing.T) {
	stats := func(packets32 uint32, more ...func(*nl.RtAttr)) *nl.RtAttr {
		a := nl.NewRtAttr(nl.TCA_STATS2, nil)
		for _, m := range more {
			m(a)
		}
		a.AddRtAttr(statsBasic, append(longs(5000), words(packets32, 0)...))
		a.AddRtAttr(statsQueue, words(7, 700, 8, 9, 10))
		return a
	}
	want := Counters{SentPackets: 50, SentBytes: 5000, Drops: 8, Overlimits: 10, BacklogPackets: 7, BacklogBytes: 700}
	wrapped := want
	wrapped.SentPackets = 1<<32 + 50
	for _, c := range []struct {
		name  string
		stats *nl.RtAttr
		want  Counters
	}{
		{"plain", stats(50), want},
		{"wrapped", stats(50, func(a *nl.RtAttr) { a.AddRtAttr(statsPackets, longs(1<<32+50)) }), wrapped},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decodeQdisc(told(&options{}, c.stats))
			if err != nil || got.counters != c.want {
				t.Errorf("got %+v, %v, want %+v", got.counters, err, c.want)
			}
		})
	}
}

// TestDecodeOthers: what this package does not know it leaves aside.
func TestDecodeOthers(t *testing.T) {
	o := options{limit: 5}
	attr := o.encode()
	attr.AddRtAttr(99, []byte{1, 2, 3})
	attr.AddRtAttr(nl.TCA_NETEM_LOSS, nl.NewRtAttr(77, []byte{1}).Serialize())
	about := nl.TcMsg{Ifindex: 3}
	b := append(slices.Clone(about.Serialize()), nl.NewRtAttr(nl.TCA_KIND, []byte("netem")).Serialize()...)
	got, err := decodeQdisc(append(b, attr.Serialize()...))
	if err != nil || got.netem.limit != 5 || got.netem.model != (lossModel{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	b = append(slices.Clone(about.Serialize()), nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("fq")).Serialize()...)
	got, err = decodeQdisc(append(b, nl.NewRtAttr(nl.TCA_OPTIONS, []byte{1}).Serialize()...))
	if err != nil || got.kind != "fq" {
		t.Errorf("another qdisc: got %+v, %v", got, err)
	}
}

// TestDecodeCutShort: wherever a message ends too early, in whole or in one of its
// attributes, that is an error or leaves something out, and never more.
func TestDecodeCutShort(t *testing.T) {
	o := options{model: lossModel{lossFourState, [5]uint32{1, 2, 3, 4, 5}}, slot: slot{min: 1, max: 2}, limit: 7}
	stats := nl.NewRtAttr(nl.TCA_STATS2, nil)
	stats.AddRtAttr(statsBasic, append(longs(5000), words(50, 0)...))
	stats.AddRtAttr(statsPackets, longs(1))
	stats.AddRtAttr(statsQueue, words(1, 2, 3, 4, 5))
	whole := told(&o, stats)
	for n := range whole {
		if q, err := decodeQdisc(whole[:n:n]); err == nil && q.counters != (Counters{}) {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), q)
		}
	}
	about := nl.TcMsg{Ifindex: 3}
	head := append(slices.Clone(about.Serialize()), nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("netem")).Serialize()...)
	for kind := 1; kind <= attrPrngSeed; kind++ {
		if kind == nl.TCA_NETEM_DELAY_DIST || kind == attrSlotDist || kind == 9 { // never told, and padding
			continue
		}
		// The last attribute, three bytes long and without what makes it four.
		options := o.encode()
		options.AddRtAttr(kind, []byte{1, 2, 3})
		b := append(slices.Clone(head), options.Serialize()...)
		if _, err := decodeQdisc(b); err == nil {
			t.Errorf("attribute %d of three bytes: no error", kind)
		}
		unpadded := options.Serialize()
		unpadded = unpadded[: len(unpadded)-1 : len(unpadded)-1]
		binary.NativeEndian.PutUint16(unpadded, uint16(len(unpadded)))
		if _, err := decodeQdisc(append(slices.Clone(head), unpadded...)); err == nil {
			t.Errorf("attribute %d of three bytes without padding: no error", kind)
		}
	}
	// An attribute that is known to none, at the very end and without padding.
	tail := nl.NewRtAttr(99, []byte{1, 2, 3}).Serialize()
	if _, err := decodeQdisc(append(slices.Clone(whole), tail[:7]...)); err != nil {
		t.Errorf("without the last padding: %v", err)
	}
}

// TestMessageFits says that the largest tables stay below what an attribute can hold,
// and nl's receive buffer, in which an error brings the request back.
func TestMessageFits(t *testing.T) {
	o := options{delayTable: make([]int16, uniformDelays), slotTable: make([]int16, uniformSlots)}
	if n := len(told(&o)); n >= 1<<16-1024 || n >= nl.RECEIVE_BUFFER_SIZE-1024 {
		t.Errorf("a message of %d bytes", n)
	}
}

// FuzzDecodeQdisc holds the decoder to whatever a kernel may say.
func FuzzDecodeQdisc(f *testing.F) {
	o := options{model: lossModel{lossFourState, [5]uint32{1, 2, 3, 4, 5}}, slot: slot{min: 1, max: 2}}
	whole := told(&o, nl.NewRtAttr(nl.TCA_STATS2, nl.NewRtAttr(statsQueue, words(1, 2, 3, 4, 5)).Serialize()))
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(whole[:unix.SizeofIfInfomsg+5])
	f.Add([]byte{})
	f.Add(append(slices.Clone(whole), nl.NewRtAttr(99, []byte{1, 2, 3}).Serialize()[:7]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := decodeQdisc(b)
		if err != nil || q.kind != "netem" || !q.netem.nanoseconds {
			return
		}
		// Whatever it says can be said again.
		again, err := decodeQdisc(told(&q.netem))
		q.netem.seeded = true // encode always has one
		if err != nil || !cmp.Equal(q.netem, again.netem, cmp.AllowUnexported(options{}, rate{}, lossModel{}, slot{})) {
			t.Errorf("%+v comes back as %+v, %v", q.netem, again.netem, err)
		}
		if _, err := impairments(&q.netem, 1500); err != nil {
			return
		}
	})
}
