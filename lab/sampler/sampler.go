package sampler

import (
	"time"
)

// Interval is the time between two samples.
const Interval = 100 * time.Millisecond

// Sampler is a running time series. Start makes it, Stop ends it.
type Sampler struct {
	reader *Reader
	sink   func(Sample)
	began  time.Time
	first  Totals
	stop   chan struct{}
	done   chan struct{}
	err    error // the first failed reading; read after done
}

// Start takes the first totals and begins to sample every Interval. sink gets
// each sample on the sampler's goroutine, the last one from within Stop; it may
// keep the sample. The reader stays the caller's and outlives the sampler.
func Start(reader *Reader, sink func(Sample)) (*Sampler, error) {
	first, err := reader.Read()
	if err != nil {
		return nil, err
	}
	s := &Sampler{
		reader: reader,
		sink:   sink,
		began:  time.Now(),
		first:  first,
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go s.run()
	return s, nil
}

// run samples until Stop, and once more then. A reading that fails ends it.
func (s *Sampler) run() {
	defer close(s.done)
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	prev := s.sample(s.first, 0)
	for stopping := false; !stopping; {
		select {
		case <-tick.C:
		case <-s.stop:
			stopping = true
		}
		totals, err := s.reader.Read()
		if err != nil {
			s.err = err
			return
		}
		cur := s.sample(totals, time.Since(s.began))
		for k, record := range cur.Records {
			cur.Rates[record.Interface] = rates(prev.Records[k], record)
		}
		s.sink(cur)
		prev = cur
	}
}

// sample makes a Sample of totals, without rates.
func (s *Sampler) sample(totals Totals, at time.Duration) Sample {
	sample := Sample{At: at, Rates: make(map[Interface]Rates, len(totals))}
	moved := totals.Sub(s.first)
	for _, i := range s.reader.interfaces {
		sample.Records = append(sample.Records, Record{
			T:         float64(at.Microseconds()) / 1e3,
			Interface: i,
			Counters:  moved[i],
		})
	}
	return sample
}

// Stop ends the sampling and returns what moved since Start. It is called once.
func (s *Sampler) Stop() (Totals, error) {
	close(s.stop)
	<-s.done
	if s.err != nil {
		return nil, s.err
	}
	last, err := s.reader.Read()
	if err != nil {
		return nil, err
	}
	return last.Sub(s.first), nil
}
