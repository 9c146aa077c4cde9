package wire

import "fmt"

// FrameType is a frame's type (RFC 9000, section 12.4).
type FrameType uint64

// Frame types of RFC 9000.
const (
	TypePadding            FrameType = 0x00
	TypePing               FrameType = 0x01
	TypeAck                FrameType = 0x02
	TypeAckECN             FrameType = 0x03
	TypeResetStream        FrameType = 0x04
	TypeStopSending        FrameType = 0x05
	TypeCrypto             FrameType = 0x06
	TypeNewToken           FrameType = 0x07
	TypeStream             FrameType = 0x08 // to 0x0f: OFF 0x04, LEN 0x02, FIN 0x01
	TypeMaxData            FrameType = 0x10
	TypeMaxStreamData      FrameType = 0x11
	TypeMaxStreamsBidi     FrameType = 0x12
	TypeMaxStreamsUni      FrameType = 0x13
	TypeDataBlocked        FrameType = 0x14
	TypeStreamDataBlocked  FrameType = 0x15
	TypeStreamsBlockedBidi FrameType = 0x16
	TypeStreamsBlockedUni  FrameType = 0x17
	TypeNewConnectionID    FrameType = 0x18
	TypeRetireConnectionID FrameType = 0x19
	TypePathChallenge      FrameType = 0x1a
	TypePathResponse       FrameType = 0x1b
	TypeCloseTransport     FrameType = 0x1c
	TypeCloseApplication   FrameType = 0x1d
	TypeHandshakeDone      FrameType = 0x1e
)

// Frame types of RFC 9221. Those of drafts stand with their frames: ackfrequency.go,
// multipath.go.
const (
	TypeDatagram    FrameType = 0x30
	TypeDatagramLen FrameType = 0x31
)

// IsStream reports whether t is one of the eight STREAM types.
func (t FrameType) IsStream() bool { return t&^7 == TypeStream }

// AckEliciting reports whether a packet with such a frame must be acknowledged (RFC
// 9002, section 2).
func (t FrameType) AckEliciting() bool {
	switch t {
	case TypePadding, TypeAck, TypeAckECN, TypePathAck, TypePathAckECN, TypeCloseTransport, TypeCloseApplication:
		return false
	}
	return true
}

// Probing reports whether the frame is a probing frame (RFC 9000, section 9.1): a
// packet of those alone does not move the connection to another path.
func (t FrameType) Probing() bool {
	switch t {
	case TypePathChallenge, TypePathResponse, TypeNewConnectionID, TypePadding:
		return true
	}
	return false
}

// String returns the type's name in the RFC's spelling.
func (t FrameType) String() string {
	if t.IsStream() {
		return "STREAM"
	}
	if name, ok := frameName(t); ok {
		return name
	}
	return fmt.Sprintf("0x%x", uint64(t))
}

func frameName(t FrameType) (string, bool) {
	names := [...]string{
		TypePadding: "PADDING", TypePing: "PING", TypeAck: "ACK", TypeAckECN: "ACK", TypeResetStream: "RESET_STREAM",
		TypeStopSending: "STOP_SENDING", TypeCrypto: "CRYPTO", TypeNewToken: "NEW_TOKEN", TypeMaxData: "MAX_DATA",
		TypeMaxStreamData: "MAX_STREAM_DATA", TypeMaxStreamsBidi: "MAX_STREAMS", TypeMaxStreamsUni: "MAX_STREAMS",
		TypeDataBlocked: "DATA_BLOCKED", TypeStreamDataBlocked: "STREAM_DATA_BLOCKED",
		TypeStreamsBlockedBidi: "STREAMS_BLOCKED", TypeStreamsBlockedUni: "STREAMS_BLOCKED",
		TypeNewConnectionID: "NEW_CONNECTION_ID", TypeRetireConnectionID: "RETIRE_CONNECTION_ID",
		TypePathChallenge: "PATH_CHALLENGE", TypePathResponse: "PATH_RESPONSE", TypeCloseTransport: "CONNECTION_CLOSE",
		TypeCloseApplication: "CONNECTION_CLOSE", TypeHandshakeDone: "HANDSHAKE_DONE", TypeImmediateAck: "IMMEDIATE_ACK",
		TypeDatagram: "DATAGRAM", TypeDatagramLen: "DATAGRAM",
	}
	switch {
	case t < FrameType(len(names)) && names[t] != "":
		return names[t], true
	case t == TypeAckFrequency:
		return "ACK_FREQUENCY", true
	}
	name := multipathFrameName(t)
	return name, name != ""
}
