package wire

// Code points of draft-ietf-quic-ack-frequency, all provisional.
const (
	TypeImmediateAck FrameType = 0x1f
	TypeAckFrequency FrameType = 0xaf

	paramMinAckDelay = 0xff04de1b
)

// AckFrequency is an ACK_FREQUENCY frame (draft-ietf-quic-ack-frequency, section 4).
type AckFrequency struct {
	Sequence uint64
	// Threshold is how many ack-eliciting packets may come without an acknowledgment.
	Threshold   uint64
	MaxAckDelay uint64 // microseconds; the receiver checks its bounds
	// Reordering is by how many packets one may be late before an immediate
	// acknowledgment; 0: lateness asks for none.
	Reordering uint64
}

// ParseAckFrequency parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParseAckFrequency(t FrameType, b []byte) (AckFrequency, int, error) {
	c := cursor{b: b}
	f := AckFrequency{Sequence: c.varint(), Threshold: c.varint(), MaxAckDelay: c.varint(), Reordering: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f AckFrequency) Append(b []byte) []byte {
	return appendFields(b, TypeAckFrequency, f.Sequence, f.Threshold, f.MaxAckDelay, f.Reordering)
}

// Len returns how many bytes Append appends.
func (f AckFrequency) Len() int {
	return fieldsLen(TypeAckFrequency, f.Sequence, f.Threshold, f.MaxAckDelay, f.Reordering)
}

// ImmediateAck is an IMMEDIATE_ACK frame (draft-ietf-quic-ack-frequency, section 5).
type ImmediateAck struct{}

// Append appends the frame.
func (ImmediateAck) Append(b []byte) []byte { return AppendVarint(b, uint64(TypeImmediateAck)) }

// Len returns how many bytes Append appends.
func (ImmediateAck) Len() int { return VarintLen(uint64(TypeImmediateAck)) }
