package relay

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	rateWarmUp   = 200 * time.Millisecond
	rateWindow   = time.Second
	rateAttempts = 10
)

// The rate of a wire with units is the model's, however many packets that is: within
// 1 %. A window in which other jobs kept the sender from filling the queue, or the
// test from reading in time, is measured again, rateAttempts times in all.
func TestUnitsKeepTheRate(t *testing.T) {
	for _, rate := range []emulation.Rate{1.5e9, 2.5e9} {
		t.Run(fmt.Sprintf("%dMbit/s", rate/1e6), func(t *testing.T) {
			r := newSuperRig(t).quiet()
			r.start(Wire{Offload: OffloadOn, Up: emulation.Impairments{
				Rate: rate, Delay: time.Millisecond, Queue: emulation.Queue{Time: 100 * time.Millisecond},
			}})
			stop := r.flood(rate + rate/3)
			defer stop()
			time.Sleep(rateWarmUp)
			var off float64
			for range rateAttempts {
				got := r.departureRate()
				off = 100 * (got/float64(rate) - 1)
				t.Logf("%.1f Mbit/s, off by %.2f %%", got/1e6, off)
				if math.Abs(off) <= 1 {
					return
				}
			}
			t.Errorf("the rate is off by %.2f %% at the last of %d attempts, want 1 %% at most: %+v", off, rateAttempts, r.counters().Up)
		})
	}
}

// departureRate returns the bits a second that leave upwards, over rateWindow.
func (r *rig) departureRate() float64 {
	r.tb.Helper()
	before, began := r.counters().Up.DepartedBytes, time.Now()
	time.Sleep(rateWindow)
	after := r.counters().Up.DepartedBytes
	return float64(after-before) * 8 / time.Since(began).Seconds()
}

// flood sends units of datagrams at a rate, until the returned function is called.
// Nobody reads them.
func (r *rig) flood(rate emulation.Rate) (stop func()) {
	r.tb.Helper()
	from, to := r.udp(addrA4.Addr(), addrB4.Addr())
	onSocket(r.tb, from, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1472)
	})
	onSocket(r.tb, to, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	var stopping atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		data := make([]byte, 44*1472)
		began, sent := time.Now(), int64(0)
		for !stopping.Load() {
			if due := int64(time.Since(began).Seconds() * float64(rate) / 8); sent >= due {
				time.Sleep(time.Millisecond)
				continue
			}
			_, _ = from.Write(data)
			sent += int64(len(data))
		}
	}()
	return func() {
		stopping.Store(true)
		<-done
	}
}
