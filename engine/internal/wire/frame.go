package wire

// ParseFrameType returns the type of the frame that b begins with, known or not, and
// how many bytes it took. The Parse function of its kind takes what follows.
func ParseFrameType(b []byte) (FrameType, int, error) {
	if len(b) > 0 && b[0] < 1<<6 {
		return FrameType(b[0]), 1, nil
	}
	v, n := ParseVarint(b)
	switch {
	case n == 0:
		return 0, 0, Errorf(FrameEncodingError, "frame type cut short")
	case n > VarintLen(v):
		// RFC 9000, section 12.4: a type MUST have its shortest form; a longer one may be
		// treated as a PROTOCOL_VIOLATION.
		return 0, 0, frameError(ProtocolViolation, FrameType(v), "frame type not in its shortest form")
	}
	return FrameType(v), n, nil
}

// Known reports whether this package has a parser for frames of type t. RFC 9000,
// section 12.4: one of an unknown type MUST be a FRAME_ENCODING_ERROR.
func Known(t FrameType) bool {
	switch {
	case t <= TypeImmediateAck:
		return true
	case t == TypeDatagram, t == TypeDatagramLen, t == TypeAckFrequency:
		return true
	}
	return multipathFrameName(t) != ""
}

// ParseFrame returns the frame that b begins with, as the value struct of its type,
// and how many bytes it took, type included. Bytes in the frame are those of b. It is
// for traces and tests: it allocates, which the Parse functions do not.
func ParseFrame(b []byte) (t FrameType, frame any, n int, err error) {
	if pad := SkipPadding(b); pad > 0 {
		return TypePadding, Padding{Size: pad}, pad, nil
	}
	t, head, err := ParseFrameType(b)
	if err != nil {
		return t, nil, 0, err
	}
	if frame, n, err = parseFields(t, b[head:]); err != nil {
		return t, nil, 0, err
	}
	return t, frame, head + n, nil
}

// parseFields parses what follows the type.
func parseFields(t FrameType, b []byte) (any, int, error) {
	if t.IsStream() {
		return erase(ParseStream(t, b))
	}
	switch t {
	case TypePing:
		return Ping{}, 0, nil
	case TypeAck, TypeAckECN, TypePathAck, TypePathAckECN:
		return erase(ParseAck(t, b))
	case TypeResetStream:
		return erase(ParseResetStream(t, b))
	case TypeStopSending:
		return erase(ParseStopSending(t, b))
	case TypeCrypto:
		return erase(ParseCrypto(t, b))
	case TypeNewToken:
		return erase(ParseNewToken(t, b))
	case TypeMaxData:
		return erase(ParseMaxData(t, b))
	case TypeMaxStreamData:
		return erase(ParseMaxStreamData(t, b))
	case TypeMaxStreamsBidi, TypeMaxStreamsUni:
		return erase(ParseMaxStreams(t, b))
	case TypeDataBlocked:
		return erase(ParseDataBlocked(t, b))
	case TypeStreamDataBlocked:
		return erase(ParseStreamDataBlocked(t, b))
	case TypeStreamsBlockedBidi, TypeStreamsBlockedUni:
		return erase(ParseStreamsBlocked(t, b))
	case TypeNewConnectionID, TypePathNewConnectionID:
		return erase(ParseNewConnectionID(t, b))
	case TypeRetireConnectionID, TypePathRetireConnectionID:
		return erase(ParseRetireConnectionID(t, b))
	case TypePathChallenge:
		return erase(ParsePathChallenge(t, b))
	case TypePathResponse:
		return erase(ParsePathResponse(t, b))
	case TypeCloseTransport, TypeCloseApplication:
		return erase(ParseConnectionClose(t, b))
	case TypeHandshakeDone:
		return HandshakeDone{}, 0, nil
	}
	return parseExtension(t, b)
}

// parseExtension parses what follows the type of a frame that RFC 9000 does not have.
func parseExtension(t FrameType, b []byte) (any, int, error) {
	switch t {
	case TypeDatagram, TypeDatagramLen:
		return erase(ParseDatagram(t, b))
	case TypeAckFrequency:
		return erase(ParseAckFrequency(t, b))
	case TypeImmediateAck:
		return ImmediateAck{}, 0, nil
	case TypePathAbandon:
		return erase(ParsePathAbandon(t, b))
	case TypePathStatusBackup, TypePathStatusAvailable:
		return erase(ParsePathStatus(t, b))
	case TypeMaxPathID:
		return erase(ParseMaxPathID(t, b))
	case TypePathsBlocked:
		return erase(ParsePathsBlocked(t, b))
	case TypePathCIDsBlocked:
		return erase(ParsePathCIDsBlocked(t, b))
	}
	// RFC 9000, section 12.4: an unknown type MUST be a FRAME_ENCODING_ERROR.
	return nil, 0, frameError(FrameEncodingError, t, "unknown frame type")
}

// erase forgets the type of a Parse function's frame.
func erase[F any](f F, n int, err error) (any, int, error) { return f, n, err }

// appendFields appends a frame's type and fields.
func appendFields(b []byte, t FrameType, fields ...uint64) []byte {
	b = AppendVarint(b, uint64(t))
	for _, v := range fields {
		b = AppendVarint(b, v)
	}
	return b
}

// fieldsLen returns how many bytes appendFields appends.
func fieldsLen(t FrameType, fields ...uint64) int {
	n := VarintLen(uint64(t))
	for _, v := range fields {
		n += VarintLen(v)
	}
	return n
}
