package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tquiclab/tquiclab/lab/capture"
)

// captureDir is the captures' place in the run folder.
const captureDir = "capture"

// trialCapture is what is captured of one trial; the zero value is nothing.
type trialCapture struct {
	capture *capture.Capture
	keyLog  string // where the agents write the secrets meanwhile
}

// startCapture begins to capture a trial, before its first packet.
func (r *field) startCapture(p planned) (trialCapture, error) {
	if len(r.Capture) == 0 {
		return trialCapture{}, nil
	}
	dir, err := filepath.Abs(filepath.Join(r.Folder.Dir(), captureDir))
	if err != nil {
		return trialCapture{}, fmt.Errorf("find the capture folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return trialCapture{}, fmt.Errorf("create the capture folder: %w", err)
	}
	keyLog := filepath.Join(dir, p.name()+".keys")
	c, err := capture.Start(capture.Config{
		Path:    filepath.Join(dir, p.name()+".pcapng"),
		Comment: fmt.Sprintf("lab %s, round %d, %s", r.LabName, p.round, p.arm.label()),
		Points:  r.Capture,
		Do:      r.Lab.Do,
		Secrets: func() (capture.Secrets, error) { return trialSecrets(keyLog) },
	})
	return trialCapture{capture: c, keyLog: keyLog}, err
}

// trialSecrets reads what the agents wrote: engines without TLS write nothing.
func trialSecrets(keyLog string) (capture.Secrets, error) {
	s, err := capture.ReadSecrets(keyLog)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	return s, err
}

// endCapture finishes a trial's capture, whose secrets are in it from then on, and
// warns of packets that are not.
func (r *field) endCapture(p planned, t trialCapture) error {
	if t.capture == nil {
		return nil
	}
	s, err := t.capture.Stop()
	if err != nil {
		return err // the key log stays: it may be all that decrypts the packets
	}
	if s.Dropped > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("round %d, %s: the capture missed %d packets of %d",
			p.round, p.arm.label(), s.Dropped, s.Dropped+s.Packets))
	}
	if err := os.Remove(t.keyLog); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the key log: %w", err)
	}
	return nil
}
