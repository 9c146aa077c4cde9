package udpio

import "sync/atomic"

// Counters is what a socket did so far.
type Counters struct {
	SentTrains, SentDatagrams, SentBytes uint64
	SendCalls                            uint64 // system calls, failed ones too
	DroppedDatagrams                     uint64 // refused by the kernel for want of memory, route or permission
	TooLargeDatagrams                    uint64 // larger than the interface's MTU

	ReceivedTrains, ReceivedDatagrams, ReceivedBytes uint64
	GROTrains                                        uint64 // of more than one datagram
	TruncatedDatagrams                               uint64 // larger than their slot, dropped
	// OverflowDatagrams were dropped by the kernel since nobody read them in time. A
	// train that was to arrive whole counts as one. 0 where the kernel does not tell.
	OverflowDatagrams uint64
}

// counters are atomic, as writers and Counters run beside the reader; they are
// touched once a train.
type counters struct {
	sentTrains, sentDatagrams, sentBytes, sendCalls, dropped, tooLarge     atomic.Uint64
	receivedTrains, receivedDatagrams, receivedBytes, groTrains, truncated atomic.Uint64
}

func (c *counters) sent(bytes, segment int) {
	c.sentTrains.Add(1)
	c.sentDatagrams.Add(uint64(datagrams(bytes, segment)))
	c.sentBytes.Add(uint64(bytes))
}

func (c *counters) received(r *Received) {
	n := datagrams(len(r.Data), r.Segment)
	c.receivedTrains.Add(1)
	c.receivedDatagrams.Add(uint64(n))
	c.receivedBytes.Add(uint64(len(r.Data)))
	if n > 1 {
		c.groTrains.Add(1)
	}
}

func (c *counters) snapshot() Counters {
	return Counters{
		SentTrains:         c.sentTrains.Load(),
		SentDatagrams:      c.sentDatagrams.Load(),
		SentBytes:          c.sentBytes.Load(),
		SendCalls:          c.sendCalls.Load(),
		DroppedDatagrams:   c.dropped.Load(),
		TooLargeDatagrams:  c.tooLarge.Load(),
		ReceivedTrains:     c.receivedTrains.Load(),
		ReceivedDatagrams:  c.receivedDatagrams.Load(),
		ReceivedBytes:      c.receivedBytes.Load(),
		GROTrains:          c.groTrains.Load(),
		TruncatedDatagrams: c.truncated.Load(),
	}
}
