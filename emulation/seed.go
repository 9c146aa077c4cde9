package emulation

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Seed is where the randomness of one direction comes from. Equal seeds give
// equal random numbers on every machine and in every version of the model.
type Seed [sha256.Size]byte

// NewSeed derives a direction's seed from the topology's seed and the names of
// the link and the direction. Two directions of one topology never share one.
func NewSeed(topology uint64, link, direction string) Seed {
	return derive(binary.LittleEndian.AppendUint64(nil, topology), link, direction)
}

// stage returns the generator of one stage. Each stage has its own, so that what
// one stage draws never shifts what another sees.
func (s Seed) stage(name string) *rand.Rand {
	return rand.New(rand.NewChaCha8(derive(s[:], name)))
}

// derive hashes key and names. Each name goes in with its length, so that no
// two lists of names give the same bytes.
func derive(key []byte, names ...string) Seed {
	data := append([]byte("tquiclab emulation 1"), key...)
	for _, n := range names {
		data = binary.LittleEndian.AppendUint64(data, uint64(len(n)))
		data = append(data, n...)
	}
	return sha256.Sum256(data)
}
