package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// writeBehind is how much is collected before it is written out.
const writeBehind = 256 << 10

// header is what stands before the packets of a file.
type header struct {
	comment string // about the whole
	points  []Point
	snaplen int
}

// file is the pcapng file. It always ends with a whole block.
type file struct {
	path    string
	header  header
	file    *os.File
	ng      *pcapgo.NgWriter
	blocks  bytes.Buffer // whole blocks that were not written out
	start   int64        // where the packets begin
	written int64
}

// createFile makes the file, which must not be there, with the header in it. Who
// decrypts must be the file's owner, so nobody else may read it.
func createFile(path string, h header) (*file, error) {
	f := &file{path: path, header: h}
	var err error
	if f.ng, err = h.write(&f.blocks); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	f.start = int64(f.blocks.Len())
	f.file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already: remove it, or choose another file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("create capture file: %w", err)
	}
	if err := f.flush(); err != nil {
		return nil, errors.Join(err, f.file.Close(), os.Remove(path))
	}
	return f, nil
}

// write writes the section's header and each interface's description.
func (h header) write(to io.Writer) (*pcapgo.NgWriter, error) {
	var ng *pcapgo.NgWriter
	for i, p := range h.points {
		described := pcapgo.NgInterface{
			Name: p.Name, Description: p.Description(), Comment: "link " + p.Link,
			OS: runtime.GOOS, LinkType: layers.LinkTypeEthernet, SnapLength: uint32(h.snaplen),
		}
		var err error
		if i == 0 {
			section := pcapgo.NgSectionInfo{Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "tquiclab", Comment: h.comment}
			ng, err = pcapgo.NewNgWriterInterface(to, described, pcapgo.NgWriterOptions{SectionInfo: section})
		} else {
			_, err = ng.AddInterface(described)
		}
		if err != nil {
			return nil, err
		}
	}
	return ng, ng.Flush()
}

// size returns how long the file is, with what is not written out.
func (f *file) size() int64 { return f.written + int64(f.blocks.Len()) }

// blockSize returns the length of a packet's block: 32 bytes around the data, 12 of
// options, all padded to 4 (draft-ietf-opsawg-pcapng, section 4.3).
func blockSize(p packet) int64 { return int64(32 + 12 + (len(p.data)+3)&^3) }

// add adds a packet of a point.
func (f *file) add(point int, p packet) error {
	flags := pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	if p.outgoing {
		flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	info := gopacket.CaptureInfo{
		Timestamp: time.Unix(0, p.at), InterfaceIndex: point,
		CaptureLength: len(p.data), Length: max(p.length, len(p.data)),
	}
	err := f.ng.WritePacketWithOptions(info, p.data, pcapgo.NgPacketOptions{Flags: &flags})
	if err == nil {
		err = f.ng.Flush() // from the writer's own buffer into ours
	}
	if err != nil {
		return fmt.Errorf("encode packet: %w", err)
	}
	if f.blocks.Len() >= writeBehind {
		return f.flush()
	}
	return nil
}

// addStatistics adds what was counted at a point, from start to end.
func (f *file) addStatistics(point int, c PointSummary, start, end time.Time) error {
	err := f.ng.WriteInterfaceStats(point, pcapgo.NgInterfaceStatistics{
		LastUpdate: end, StartTime: start, EndTime: end,
		PacketsReceived: c.Received, PacketsDropped: c.Dropped,
	})
	if err == nil {
		err = f.ng.Flush()
	}
	if err != nil {
		return fmt.Errorf("encode statistics: %w", err)
	}
	return nil
}

// flush writes out what was collected. When that fails the file is cut back to the
// blocks that are in it whole.
func (f *file) flush() error {
	n, err := f.file.WriteAt(f.blocks.Bytes(), f.written)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, f.file.Truncate(f.written))
		}
		return fmt.Errorf("write capture file: %w", err)
	}
	f.written += int64(n)
	f.blocks.Reset()
	return nil
}

// close finishes the file: with secrets, it is written anew with them in front of
// its packets. The one without them stands until that is done.
func (f *file) close(secrets Secrets) error {
	var err error
	if len(secrets.Text) > 0 {
		err = f.insert(secrets)
	}
	return errors.Join(err, f.file.Close())
}

func (f *file) insert(secrets Secrets) error {
	path := f.path + ".new"
	with, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("add the secrets: %w", err)
	}
	err = f.copyTo(with, secrets)
	if err = errors.Join(err, with.Close()); err == nil {
		err = os.Rename(path, f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("add the secrets: %w", err), os.Remove(path))
	}
	return nil
}

func (f *file) copyTo(with *os.File, secrets Secrets) error {
	ng, err := f.header.write(with)
	if err != nil {
		return err
	}
	if err := ng.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_TLS, secrets.Text); err != nil {
		return err
	}
	if err := ng.Flush(); err != nil {
		return err
	}
	if _, err := f.file.Seek(f.start, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(with, f.file)
	return err
}
