package relay

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
	"github.com/tquiclab/tquiclab/topologies"
)

// The accuracy that the relay promises for every profile, and how often a direction is
// measured until it is met: other work on the machine can spoil a measurement, never
// make a wrong wire pass.
const (
	accuracyShare = 0.01 // of a mean delay, and of a rate
	accuracyDelay = 300 * time.Microsecond
	accuracyTries = 5

	// floodedAtOnce is how much is flooded at the same time, so that the measurements
	// leave each other room.
	floodedAtOnce emulation.Rate = 250e6

	datagram = 1472 // bytes, of a full packet
	wireSize = 14 + 28 + datagram
)

// measured is a direction of one or more profiles, alone on a wire of its own.
type measured struct {
	name    string
	imp     emulation.Impairments
	offload Offload
}

// profileDirections returns both directions of every profile. Those that are alike are
// one.
func profileDirections() []measured {
	var all []measured
	for _, p := range topologies.Profiles() {
		for _, way := range []struct {
			name string
			imp  emulation.Impairments
		}{{"up", p.Up}, {"down", p.Down}} {
			name, offload := p.Name+" "+way.name, OffloadFor(p.Up, p.Down)
			if i := slices.IndexFunc(all, func(m measured) bool { return m.imp == way.imp && m.offload == offload }); i >= 0 {
				all[i].name += ", " + name
				continue
			}
			all = append(all, measured{name, way.imp, offload})
		}
	}
	return all
}

// probe is a direction that is being measured.
type probe struct {
	measured
	model *emulation.Direction // the same, in virtual time, with the relay's seed
	from  *net.UDPConn
	began int64 // when the first datagram was sent, CLOCK_REALTIME, ns
	came  []piece
	errs  [2]error // of the sender and of the receiver
	done  sync.WaitGroup
	to    *net.UDPConn
}

// piece is what came in one piece: a datagram, or a unit of them.
type piece struct {
	number uint32 // of the first datagram
	bytes  int    // of payload
	at     int64  // when the kernel had it, CLOCK_REALTIME, ns
}

// newProbe puts the direction on a wire of its own, as its way up, and listens there.
func newProbe(t *testing.T, m measured) *probe {
	t.Helper()
	build := newRig
	if m.offload == OffloadOn {
		build = newSuperRig
	}
	r := build(t).quiet()
	r.start(Wire{Offload: m.offload, Up: m.imp})
	p := &probe{measured: m}
	var err error
	if p.model, err = emulation.NewDirection(m.imp, emulation.NewSeed(7, "test", "up")); err != nil {
		t.Fatal(err)
	}
	p.from, p.to = r.udp(addrA4.Addr(), addrB4.Addr())
	onSocket(t, p.from, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, datagram) })
	onSocket(t, p.to, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	onSocket(t, p.to, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	p.done.Go(p.receive)
	return p
}

// receive notes what comes until the socket is closed.
func (p *probe) receive() {
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, k, _, _, err := p.to.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				p.errs[1] = err
			}
			return
		}
		at, err := stamp(oob[:k])
		if err != nil || n < 4 {
			p.errs[1] = fmt.Errorf("datagram of %d bytes: %w", n, err)
			return
		}
		p.came = append(p.came, piece{binary.BigEndian.Uint32(buf), n, at})
	}
}

// stamp reads when the kernel had a datagram.
func stamp(oob []byte) (int64, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS {
			s := int64(binary.NativeEndian.Uint64(m.Data))
			return s*int64(time.Second) + int64(binary.NativeEndian.Uint64(m.Data[8:])), nil
		}
	}
	return 0, errors.New("no time stamp")
}

// finish ends the probe when nothing more is to come.
func (p *probe) finish() error {
	_ = p.to.Close()
	p.done.Wait()
	return errors.Join(p.errs[:]...)
}

// peak returns a rate that is above every one of the direction's.
func (p *probe) peak() emulation.Rate {
	rate := p.imp.MeanRate()
	switch {
	case p.imp.Capacity != nil:
		return 6 * rate
	case p.imp.Steps != nil:
		for _, s := range p.imp.Steps.Steps {
			rate = max(rate, s.Rate)
		}
	}
	return rate
}

// flood sends datagrams at a third more than the direction carries, for a time. They go
// in units, which the kernel takes apart where the wire wants packets.
func (p *probe) flood(length time.Duration) {
	rate := p.peak() + p.peak()/3
	unit := min(44, max(1, int(float64(rate)*2e-3)/8/wireSize))
	data := make([]byte, unit*datagram)
	began := time.Now()
	p.began = began.UnixNano()
	for sent := 0; time.Since(began) < length; {
		if due := time.Since(began).Seconds() * float64(rate) / 8; float64(sent) > due {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := p.from.Write(data); err != nil && !errors.Is(err, unix.ENOBUFS) {
			p.errs[0] = err
			return
		}
		sent += unit * wireSize
	}
}

// carried returns the wire bits that came in a part of the probe, and how long that
// took from the first to the last of them.
func (p *probe) carried(from, to time.Duration) (bits float64, took time.Duration) {
	var first, last int64
	for _, a := range p.came {
		switch at := a.at - p.began; {
		case at < int64(from) || at > int64(to):
		case first == 0:
			first = a.at // what came before it took is not known
		default:
			bits += 8 * wireSize * float64(a.bytes/datagram)
			last = a.at
		}
	}
	return bits, time.Duration(last - first)
}

// offered returns the wire bits that the model lets pass in a part of the probe's time,
// with packets waiting all the while.
func (p *probe) offered(from, to time.Duration) (bits float64) {
	gap := time.Duration(8 * wireSize * float64(time.Second) / float64(p.peak()) / 1.3)
	p.model.Start(0)
	collect := func(now emulation.Time) {
		for at, ok := p.model.NextDeparture(); ok && at <= now; at, ok = p.model.NextDeparture() {
			if _, at, ok := p.model.Dequeue(at); ok && at >= emulation.Time(from) && at <= emulation.Time(to) {
				bits += 8 * wireSize
			}
		}
		for _, ok := p.model.Discarded(); ok; _, ok = p.model.Discarded() {
		}
	}
	for now := time.Duration(0); now < to; now += gap {
		collect(emulation.Time(now))
		p.model.Enqueue(emulation.Time(now), emulation.Packet{Size: wireSize, IPSize: wireSize - 14})
	}
	return bits
}

// accurately measures the directions, those that miss again, and reports those that
// always do. measure is called in goroutines, for as many directions at a time as have
// that rate together, and returns what is wrong.
func accurately(t *testing.T, all []measured, atOnce emulation.Rate, measure func(*probe) error) {
	t.Helper()
	for try := range accuracyTries {
		var missed []measured
		for len(all) > 0 {
			n, sum := 0, emulation.Rate(0)
			for ; n < len(all) && (n == 0 || sum+all[n].imp.MeanRate() <= atOnce); n++ {
				sum += all[n].imp.MeanRate()
			}
			for i, err := range together(t, all[:n], measure) {
				if err != nil {
					t.Logf("try %d: %s: %v", try+1, all[i].name, err)
					missed = append(missed, all[i])
				}
			}
			all = all[n:]
		}
		if all = missed; len(all) == 0 {
			return
		}
	}
	for _, m := range all {
		t.Errorf("%s: missed %d times in a row", m.name, accuracyTries)
	}
}

// together measures some directions at the same time.
func together(t *testing.T, all []measured, measure func(*probe) error) []error {
	t.Helper()
	probes, errs := make([]*probe, len(all)), make([]error, len(all))
	for i, m := range all {
		probes[i] = newProbe(t, m)
	}
	var group sync.WaitGroup
	for i, p := range probes {
		group.Go(func() { errs[i] = measure(p) })
	}
	group.Wait()
	return errs
}

// The rate of every profile is within 1 % of the request over 5 s, or of what its trace
// or its slots offer in that time, with all else that the profile does to packets.
func TestProfilesKeepTheirRates(t *testing.T) {
	const window = 5 * time.Second
	all := profileDirections()
	slices.SortStableFunc(all, func(a, b measured) int { return cmp.Compare(a.imp.MeanRate(), b.imp.MeanRate()) })
	accurately(t, all, floodedAtOnce, func(p *probe) error {
		from := p.imp.Delay + p.imp.Jitter + 500*time.Millisecond
		to := from + window
		p.flood(to)
		if err := p.finish(); err != nil {
			return err
		}
		bits, took := p.carried(from, to)
		want := float64(p.imp.Rate) * took.Seconds()
		// Slots take their waits from the rate, as a medium does that must first be won.
		if p.imp.Capacity != nil || p.imp.Steps != nil || p.imp.Slot != (emulation.Slot{}) {
			want = p.offered(from, to)
		}
		if off := bits/want - 1; !(math.Abs(off) <= accuracyShare) {
			return fmt.Errorf("%.0f bits came in %v, want %.0f: off by %.2f %%", bits, took, want, 100*off)
		}
		return nil
	})
}

// The mean delay of every profile is within 1 % or 0.3 ms of the request. What chance
// adds to the mean of the pulses is taken away: the seed says what it is.
func TestProfilesKeepTheirDelays(t *testing.T) {
	accurately(t, profileDirections(), math.MaxInt64, func(p *probe) error {
		const pulses = 300
		apart := 10*time.Millisecond + p.imp.Slot.Max
		sent, err := p.pulse(pulses, apart)
		if err != nil {
			return err
		}
		time.Sleep(p.imp.Delay + 4*p.imp.Jitter + 200*time.Millisecond)
		if err := p.finish(); err != nil {
			return err
		}
		asked, err := p.askedDelay(apart)
		if err != nil {
			return err
		}
		off, n := p.late(sent)
		if n < pulses/2 {
			return fmt.Errorf("%d of %d pulses came", n, pulses)
		}
		if most := max(accuracyDelay, time.Duration(accuracyShare*float64(asked))); off.Abs() > most {
			return fmt.Errorf("the mean delay is off by %v, want %v at most of %v", off, most, asked)
		}
		return nil
	})
}

// pulse sends small datagrams at intervals and returns when.
func (p *probe) pulse(n int, apart time.Duration) ([]emulationtest.Arrival, error) {
	data := make([]byte, pulseSize)
	sent := make([]emulationtest.Arrival, 0, n)
	for i := range n {
		binary.BigEndian.PutUint32(data, uint32(i))
		now := time.Now().UnixNano()
		if _, err := p.from.Write(data); err != nil {
			return nil, err
		}
		if i == 0 {
			p.began = now
		}
		sent = append(sent, emulationtest.Arrival{At: emulation.Time(now - p.began), Size: 14 + 28 + pulseSize})
		time.Sleep(apart)
	}
	return sent, nil
}

const pulseSize = 100

// askedDelay returns the mean delay of the model for packets that meet an empty wire.
func (p *probe) askedDelay(apart time.Duration) (time.Duration, error) {
	arrivals := emulationtest.Every(apart, 20_000, 14+28+pulseSize)
	out, _, err := emulationtest.Play(p.imp, emulation.NewSeed(1, "asked", "up"), arrivals)
	if err != nil {
		return 0, err
	}
	return time.Duration(1e9 * emulationtest.Mean(emulationtest.Delays(arrivals, out))), nil
}

// late returns by how much later than in the model the pulses came, on average, and how
// many came.
func (p *probe) late(sent []emulationtest.Arrival) (time.Duration, int) {
	out, _, err := emulationtest.Play(p.imp, emulation.NewSeed(7, "test", "up"), sent)
	if err != nil {
		return 0, 0
	}
	due := map[uint32]emulation.Time{}
	for _, d := range out {
		due[uint32(d.Number)] = d.At
	}
	var sum time.Duration
	n := 0
	for _, a := range p.came {
		if at, ok := due[a.number]; ok {
			sum += emulation.Time(a.at - p.began).Sub(at)
			n++
		}
	}
	return sum / time.Duration(max(n, 1)), n
}

// The losses of every profile are those of the model to the packet, with the seed's:
// their number lies within the model's 99 % interval, their mean burst within 10 %.
func TestProfilesLoseWhatTheyShould(t *testing.T) {
	const n = 20_000
	for _, m := range profileDirections() {
		if m.imp.Loss == 0 {
			continue
		}
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			if m.imp.GilbertElliott != (emulation.GilbertElliott{}) || m.imp.FourState != (emulation.FourState{}) {
				t.Fatal("losses of another kind: which chain are they?")
			}
			only := emulation.Impairments{Loss: m.imp.Loss}
			r := newRig(t).quiet()
			r.start(Wire{Up: only})
			f := r.flow(32, addrA4.Addr(), addrB4.Addr())
			r.wantLosses(f, only, 7, n)
			lost := slices.Repeat([]bool{true}, n)
			for _, number := range f.got {
				lost[number] = false
			}
			chain := emulationtest.OfLoss(m.imp.Loss)
			low, high := chain.Interval(n, 0.01)
			if k := float64(n - len(f.got)); k < low || k > high {
				t.Errorf("%g of %d packets lost, want %.1f to %.1f", k, n, low, high)
			}
			if burst := emulationtest.Mean(emulationtest.Bursts(lost)); !(math.Abs(burst/chain.MeanBurst()-1) <= 0.1) {
				t.Errorf("mean burst %.3f, want %.3f within 10 %%", burst, chain.MeanBurst())
			}
		})
	}
}
