package wire

// Range is the packet numbers from Smallest to Largest, both included.
type Range struct{ Smallest, Largest PacketNumber }
