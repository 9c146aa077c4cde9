package handshake

import "fmt"

// Level is an encryption level (RFC 9001, section 2.1).
type Level uint8

// The levels, in the order in which a connection reaches them.
const (
	LevelInitial Level = iota
	LevelEarly         // 0-RTT
	LevelHandshake
	LevelOneRTT
)

// levels is how many there are.
const levels = 4

// String returns the level's name in the RFC's spelling.
func (l Level) String() string {
	names := [levels]string{"Initial", "0-RTT", "Handshake", "1-RTT"}
	if int(l) < len(names) {
		return names[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}
