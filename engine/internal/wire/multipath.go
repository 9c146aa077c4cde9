package wire

// MultipathDraft is the version of draft-ietf-quic-multipath that this file has the
// code points of. All are provisional and change with the draft.
const MultipathDraft = 21

// Frame types of the draft, section 4.
const (
	TypePathAck                FrameType = 0x3e
	TypePathAckECN             FrameType = 0x3f
	TypePathAbandon            FrameType = 0x3e75
	TypePathStatusBackup       FrameType = 0x3e76
	TypePathStatusAvailable    FrameType = 0x3e77
	TypePathNewConnectionID    FrameType = 0x3e78
	TypePathRetireConnectionID FrameType = 0x3e79
	TypeMaxPathID              FrameType = 0x3e7a
	TypePathsBlocked           FrameType = 0x3e7b
	TypePathCIDsBlocked        FrameType = 0x3e7c
)

// Transport error codes of the draft, section 4.2.1: why a path is abandoned.
const (
	ApplicationAbandonPath   ErrorCode = 0x3e
	PathResourceLimitReached ErrorCode = 0x3e75
	PathUnstableOrPoor       ErrorCode = 0x3e76
	NoCIDAvailableForPath    ErrorCode = 0x3e77
)

// The draft's transport parameter (section 2.1).
const paramInitialMaxPathID = 0x3e

// MaxPathIDValue is the largest path ID: the nonce has 32 bits for it (section 2.4).
const MaxPathIDValue = 1<<32 - 1

// multipathFrameName returns the name of a frame type of the draft, else "".
func multipathFrameName(t FrameType) string {
	names := [...]string{
		"PATH_ABANDON", "PATH_STATUS_BACKUP", "PATH_STATUS_AVAILABLE", "PATH_NEW_CONNECTION_ID",
		"PATH_RETIRE_CONNECTION_ID", "MAX_PATH_ID", "PATHS_BLOCKED", "PATH_CIDS_BLOCKED",
	}
	switch {
	case t == TypePathAck || t == TypePathAckECN:
		return "PATH_ACK"
	case t >= TypePathAbandon && t <= TypePathCIDsBlocked:
		return names[t-TypePathAbandon]
	}
	return ""
}

// multipathErrorName returns the name of an error code of the draft, else "".
func multipathErrorName(c ErrorCode) string {
	switch c {
	case ApplicationAbandonPath:
		return "APPLICATION_ABANDON_PATH"
	case PathResourceLimitReached:
		return "PATH_RESOURCE_LIMIT_REACHED"
	case PathUnstableOrPoor:
		return "PATH_UNSTABLE_OR_POOR"
	case NoCIDAvailableForPath:
		return "NO_CID_AVAILABLE_FOR_PATH"
	}
	return ""
}

// PathAbandon is a PATH_ABANDON frame (section 4.2).
type PathAbandon struct {
	Path PathID
	Code uint64 // an ErrorCode
}

// ParsePathAbandon parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParsePathAbandon(t FrameType, b []byte) (PathAbandon, int, error) {
	c := cursor{b: b}
	f := PathAbandon{Path: c.path(), Code: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f PathAbandon) Append(b []byte) []byte {
	return appendFields(b, TypePathAbandon, uint64(f.Path), f.Code)
}

// Len returns how many bytes Append appends.
func (f PathAbandon) Len() int { return fieldsLen(TypePathAbandon, uint64(f.Path), f.Code) }

// PathStatus is a PATH_STATUS_AVAILABLE or, with Backup, a PATH_STATUS_BACKUP frame
// (section 4.3). Both kinds share one sequence a path.
type PathStatus struct {
	Path     PathID
	Sequence uint64
	Backup   bool // the peer should rather not send on the path
}

// ParsePathStatus parses the frame of type t whose fields b begins with and returns how
// many bytes they took.
func ParsePathStatus(t FrameType, b []byte) (PathStatus, int, error) {
	c := cursor{b: b}
	f := PathStatus{Path: c.path(), Sequence: c.varint(), Backup: t == TypePathStatusBackup}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f PathStatus) Append(b []byte) []byte {
	t := TypePathStatusAvailable
	if f.Backup {
		t = TypePathStatusBackup
	}
	return appendFields(b, t, uint64(f.Path), f.Sequence)
}

// Len returns how many bytes Append appends.
func (f PathStatus) Len() int { return fieldsLen(TypePathStatusBackup, uint64(f.Path), f.Sequence) }

// MaxPathID is a MAX_PATH_ID frame (section 4.6).
type MaxPathID struct {
	Max PathID // the largest that the peer may use
}

// ParseMaxPathID parses the frame whose fields b begins with and returns how many bytes
// they took.
func ParseMaxPathID(t FrameType, b []byte) (MaxPathID, int, error) {
	c := cursor{b: b}
	f := MaxPathID{Max: c.path()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f MaxPathID) Append(b []byte) []byte { return appendFields(b, TypeMaxPathID, uint64(f.Max)) }

// Len returns how many bytes Append appends.
func (f MaxPathID) Len() int { return fieldsLen(TypeMaxPathID, uint64(f.Max)) }

// PathsBlocked is a PATHS_BLOCKED frame (section 4.7).
type PathsBlocked struct {
	Max PathID // the limit that stopped the sender
}

// ParsePathsBlocked parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParsePathsBlocked(t FrameType, b []byte) (PathsBlocked, int, error) {
	c := cursor{b: b}
	f := PathsBlocked{Max: c.path()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f PathsBlocked) Append(b []byte) []byte {
	return appendFields(b, TypePathsBlocked, uint64(f.Max))
}

// Len returns how many bytes Append appends.
func (f PathsBlocked) Len() int { return fieldsLen(TypePathsBlocked, uint64(f.Max)) }

// PathCIDsBlocked is a PATH_CIDS_BLOCKED frame (section 4.7).
type PathCIDsBlocked struct {
	Path         PathID
	NextSequence uint64 // of the connection ID that the sender waits for
}

// ParsePathCIDsBlocked parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParsePathCIDsBlocked(t FrameType, b []byte) (PathCIDsBlocked, int, error) {
	c := cursor{b: b}
	f := PathCIDsBlocked{Path: c.path(), NextSequence: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f PathCIDsBlocked) Append(b []byte) []byte {
	return appendFields(b, TypePathCIDsBlocked, uint64(f.Path), f.NextSequence)
}

// Len returns how many bytes Append appends.
func (f PathCIDsBlocked) Len() int {
	return fieldsLen(TypePathCIDsBlocked, uint64(f.Path), f.NextSequence)
}
