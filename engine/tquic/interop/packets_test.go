package interop

import (
	"bytes"
	"errors"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"

	"github.com/tquiclab/tquiclab/engine/tquic"
)

// TestKeyUpdateByTquic: quic-go follows, and data flows on.
func TestKeyUpdateByTquic(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		client, server := p.stream()
		r.await("a key update", func() bool { return p.tquic.UpdateKeys() == nil })
		p.bounce(client, server, 6)
		if got := p.tquic.Stats().KeyUpdates; got != 1 {
			t.Errorf("tquic began %d key updates, want 1", got)
		}
		if !has(r.events, func(e qlog.KeyUpdated) bool { return e.Trigger == qlog.KeyUpdateRemote }) {
			t.Error("quic-go saw no key update of its peer")
		}
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
	})
}

// TestKeyUpdateByQuicgo: quic-go begins one by itself after 100 packets.
func TestKeyUpdateByQuicgo(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		client, server := p.stream()
		if err := exchange(client, server, 4_000_000); err != nil {
			t.Error(err)
		}
		if !has(r.events, func(e qlog.KeyUpdated) bool { return e.Trigger == qlog.KeyUpdateLocal }) {
			t.Error("quic-go began no key update")
		}
		if p.tquic.Stats().PeerKeyUpdates == 0 {
			t.Error("tquic saw no key update of its peer")
		}
		if got := p.tquic.Stats().KeyUpdates; got != 0 {
			t.Errorf("tquic began %d key updates, want none", got)
		}
	})
}

// TestDatagrams: unreliable datagrams each way, and what does not fit into a packet.
func TestDatagrams(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		p.stream()
		for _, d := range []struct {
			name     string
			from, to end
		}{{"client", p.client, p.server}, {"server", p.server, p.client}} {
			for _, size := range []int{0, 1, 63, 64, 1000, 1100} {
				want := pattern()[size : 2*size]
				r.must(d.from.sendDatagram(want))
				got, err := d.to.receiveDatagram(r.ctx)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes of the %s: got %d, %v", size, d.name, len(got), err)
				}
			}
			err := d.from.sendDatagram(make([]byte, 1<<17))
			_, ours := errors.AsType[*tquic.DatagramSizeError](err)
			_, theirs := errors.AsType[*quic.DatagramTooLargeError](err)
			if !ours && !theirs {
				t.Errorf("128 KiB of the %s: %v, want them refused", d.name, err)
			}
		}
	})
}

// TestDatagramsOff: who does not ask for datagrams gets none (RFC 9221, section 3).
func TestDatagramsOff(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.quicgo.EnableDatagrams = false
		p := r.connect()
		if err := p.tquic.SendDatagram([]byte("x")); !errors.Is(err, tquic.ErrNoDatagrams) {
			t.Errorf("send: %v, want ErrNoDatagrams", err)
		}
		if p.quicgo.ConnectionState().SupportsDatagrams.Remote != true {
			t.Error("quic-go did not hear that tquic takes datagrams")
		}
		p.stream()
	})
}

// TestECN: both mark their packets, see the other's marks reported, and go on.
func TestECN(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		client, server := p.stream()
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
		if !has(r.events, func(e qlog.ECNStateUpdated) bool { return e.State == qlog.ECNStateCapable }) {
			t.Error("quic-go did not find the path fit for ECN")
		}
		if has(r.events, func(e qlog.ECNStateUpdated) bool { return e.State == qlog.ECNStateFailed }) {
			t.Error("quic-go found that ECN fails")
		}
		if !has(r.events, func(e qlog.PacketReceived) bool { return e.ECN == qlog.ECT0 }) {
			t.Error("quic-go received no marked packet")
		}
		if s := p.tquic.Stats(); !s.Paths[0].ECN {
			t.Error("tquic gave ECN up")
		}
	})
}

// TestECNLost: over a path that clears the marks both give ECN up, and data flows.
func TestECNLost(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		p := r.connectTo(l, newRelay(r, l.addr()).addr())
		client, server := p.stream()
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
		if !has(r.events, func(e qlog.ECNStateUpdated) bool { return e.State == qlog.ECNStateFailed }) {
			t.Error("quic-go did not find that ECN fails")
		}
		if s := p.tquic.Stats(); s.Paths[0].ECN {
			t.Error("tquic still marks its packets")
		}
	})
}
