package emulation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"
)

// What a seed meant when there were only the first stages it means for ever: a
// stage added since draws from a generator of its own, and only when it is on.
func TestOldSeedsGiveTheOldRuns(t *testing.T) {
	for _, tc := range []struct {
		name string
		imp  Impairments
		want string
	}{
		{"loss, jitter and queue", Impairments{
			Rate: 10 * mbit, Delay: 20 * ms, Jitter: 5 * ms, Loss: 0.05, Queue: Queue{Packets: 10}, MTU: 1400,
		}, "8b38ac51efadefe6"},
		{"no rate", Impairments{Delay: 7 * ms, Jitter: 7 * ms, Loss: 0.3}, "0dc3277a64d2bf46"},
		{"queue by time", Impairments{Rate: 33_333_333, Queue: Queue{Time: 3 * ms}}, "31373bfc6cec262c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := NewDirection(tc.imp, NewSeed(7, "wifi", "up"))
			if err != nil {
				t.Fatal(err)
			}
			log := sha256.New()
			note := func(v int64) { log.Write(binary.LittleEndian.AppendUint64(nil, uint64(v))) }
			for i := range 5000 {
				now := Time(i) * Time(300*time.Microsecond)
				v := d.Enqueue(now, packet(ByteCount(100+i*97%1400)))
				if !v.Accepted {
					note(-1 - int64(v.Reason))
				}
				for _, at, ok := d.Dequeue(now); ok; _, at, ok = d.Dequeue(now) {
					note(int64(at))
				}
			}
			if got := hex.EncodeToString(log.Sum(nil)[:8]); got != tc.want {
				t.Errorf("the run has the digest %s, want %s", got, tc.want)
			}
		})
	}
}
