package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// run is wire packets that leave together: consecutive ones of one unit, due at the
// same wake-up, with one fate.
type run struct {
	unit    *unit // nil: there is none
	first   int
	count   int
	last    int // of the packets, those after which the unit holds them no more
	ecn     emulation.ECN
	corrupt bool // a run of one
	flip    uint32
}

// takes reports whether a departing wire packet can join the run.
func (r *run) takes(u *unit, i int, p *emulation.Packet) bool {
	return r.unit == u && i == r.first+r.count && p.ECN == r.ecn && !r.corrupt && p.Marks&emulation.Corrupted == 0
}

// outbox sends runs in batches, one system call a batch. It refers to the units'
// payload where it lies, and holds the headers that each run needs.
type outbox struct {
	fd       int
	messages [sendBatch]message
	parts    [sendBatch][2]unix.Iovec
	heads    [sendBatch][vnetSize + maxHeaders]byte
	runs     [sendBatch]run
	copies   [sendBatch][]byte // of corrupted packets
	n        int
	ideal    []emulation.Time // when each wire packet should leave
}

func newOutbox(fd int) *outbox {
	o := &outbox{fd: fd}
	for i := range o.messages {
		o.messages[i].header.Iov = &o.parts[i][0]
		o.parts[i][0].Base = &o.heads[i][0]
	}
	return o
}

func (o *outbox) full() bool { return o.n == sendBatch }

// add keeps the run until the batch is sent. The batch must not be full.
func (o *outbox) add(r run) {
	u := r.unit
	head := &o.heads[o.n]
	n, vnet := u.headers(head[vnetSize:], u.frame, r.first, r.count, r.ecn)
	vnet.write(head[:])
	o.put(r, vnetSize+n, u.part(u.frame, r.first, r.count))
}

// addCorrupt is add for a run of one whose packet gets a bit flipped in buf, which
// has its length.
func (o *outbox) addCorrupt(r run, buf []byte) {
	u := r.unit
	n, _ := u.headers(buf[:cap(buf)], u.frame, r.first, 1, r.ecn)
	copy(buf[n:], u.part(u.frame, r.first, 1))
	flip(buf, r.flip)
	vnetHeader{}.write(o.heads[o.n][:])
	o.copies[o.n] = buf
	o.put(r, vnetSize, buf)
}

// put makes a message of so many bytes of head, and a body.
func (o *outbox) put(r run, head int, body []byte) {
	o.runs[o.n] = r
	parts := &o.parts[o.n]
	parts[0].SetLen(head)
	parts[1].Base = unsafe.SliceData(body)
	parts[1].SetLen(len(body))
	o.messages[o.n].header.SetIovlen(2)
	o.n++
}

// sendFrom sends the batch from run i on, and returns the index of the first one
// that did not go. An error is about that one.
func (o *outbox) sendFrom(i int) (int, error) { return sendMessages(o.fd, o.messages[:o.n], i) }

// packets returns how many wire packets run i is.
func (o *outbox) packets(i int) int { return o.runs[i].count }

// empty gives back what the batch held.
func (o *outbox) empty(to *units) {
	for i := range o.n {
		if r := &o.runs[i]; r.last > 0 {
			to.release(r.unit, r.last)
		}
		if b := o.copies[i]; b != nil {
			to.giveBuffer(b)
			o.copies[i] = nil
		}
		o.runs[i].unit, o.parts[i][1].Base = nil, nil
	}
	o.n, o.ideal = 0, o.ideal[:0]
}
