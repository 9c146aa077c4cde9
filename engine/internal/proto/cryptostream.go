package proto

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// maxCryptoBuffer bounds the CRYPTO data that waits for a gap to close, bytes. RFC
// 9000, section 7.5: the bound MUST be at least 4096.
const maxCryptoBuffer = 64 << 10

// cryptoStream is the CRYPTO data of one encryption level. What TLS wrote stays
// until the level is discarded: it is a few kilobytes.
type cryptoStream struct {
	out   []byte
	fresh uint64   // offset of the first byte that was never sent
	again rangeSet // sent, to be sent again
	done  rangeSet // acknowledged

	in   []byte   // received from offset read on, with gaps
	have rangeSet // which offsets of in are there
	read uint64   // all below was handed to TLS
}

// write adds what TLS wants sent.
func (s *cryptoStream) write(b []byte) { s.out = append(s.out, b...) }

// pending reports whether something is to be sent.
func (s *cryptoStream) pending() bool {
	return s.again.len() > 0 || s.fresh < uint64(len(s.out))
}

// append puts as much as fits into the packet.
func (s *cryptoStream) append(w *builder) bool {
	for s.pending() {
		start, end := s.fresh, uint64(len(s.out))
		if s.again.len() > 0 {
			r, _ := s.again.first()
			start, end = r.start, r.end
		}
		f := wire.Crypto{Offset: start}
		room := w.room() - wire.CryptoHeaderLen(start, int(end-start))
		if room <= 0 {
			return false
		}
		end = min(end, start+uint64(room))
		f.Data = s.out[start:end]
		w.b = f.Append(w.b)
		w.added(wire.TypeCrypto)
		w.note(frameRef{kind: refCrypto, off: start, n: uint32(end - start)})
		s.again.remove(start, end)
		s.fresh = max(s.fresh, end)
	}
	return true
}

func (s *cryptoStream) acked(r frameRef) {
	s.done.add(r.off, r.off+uint64(r.n))
	s.again.remove(r.off, r.off+uint64(r.n))
}

func (s *cryptoStream) lost(r frameRef) {
	s.again.add(r.off, r.off+uint64(r.n))
	for _, d := range s.done.spans {
		s.again.remove(d.start, d.end)
	}
}

// restart sends everything again from the start: after a Retry.
func (s *cryptoStream) restart() { s.fresh, s.again, s.done = 0, rangeSet{}, rangeSet{} }

// receive takes a frame and returns the bytes that are in order now, borrowed until
// the next call.
func (s *cryptoStream) receive(f wire.Crypto) ([]byte, error) {
	end := f.Offset + uint64(len(f.Data))
	if end <= s.read || len(f.Data) == 0 {
		return nil, nil // nothing new; a frame may be empty, wherever it stands
	}
	if end-s.read > maxCryptoBuffer {
		return nil, wire.Errorf(wire.CryptoBufferExceeded, "CRYPTO data up to offset %d with %d read", end, s.read)
	}
	if f.Offset <= s.read && s.have.len() == 0 {
		data := f.Data[s.read-f.Offset:]
		s.read = end
		return data, nil
	}
	start := max(f.Offset, s.read)
	if need := int(end - s.read); need > len(s.in) {
		s.in = append(s.in, make([]byte, need-len(s.in))...)
	}
	copy(s.in[start-s.read:], f.Data[start-f.Offset:])
	s.have.add(start, end)
	r, _ := s.have.first() // there is one: f had data
	if r.start > s.read {
		return nil, nil
	}
	n := r.end - s.read
	data := s.in[:n:n]
	s.in = append([]byte(nil), s.in[n:]...)
	s.have.remove(r.start, r.end)
	s.read = r.end
	return data, nil
}
