package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// The phases of a lab. A phase other than phaseUp whose process is gone is what
// a crash left.
const (
	phaseRaising  = "raising"
	phaseUp       = "up"
	phaseLowering = "lowering"
)

const stateVersion = 1

// state is state.json in a lab's folder: what Up made or is about to make.
type state struct {
	Version    int                 `json:"version"`
	Mark       Mark                `json:"mark"`
	Phase      string              `json:"phase"`
	Maker      processRef          `json:"maker"`           // who raises, or lowers
	Owner      *processRef         `json:"owner,omitempty"` // the lab is not meant to outlive it
	Backend    string              `json:"backend"`
	Topology   topologies.Topology `json:"topology"`
	Namespaces []string            `json:"namespaces"` // made, or about to be
	Relay      *processRef         `json:"relay,omitempty"`
	Conductor  *processRef         `json:"conductor,omitempty"`
	Created    time.Time           `json:"created"`
}

func (h Host) labsDir() string               { return filepath.Join(h.dir(), "labs") }
func (h Host) labDir(lab string) string      { return filepath.Join(h.labsDir(), lab) }
func (h Host) relaySocket(lab string) string { return filepath.Join(h.labDir(lab), "relay.sock") }
func (h Host) relayLog(lab string) string    { return filepath.Join(h.labDir(lab), "relay.log") }

func (h Host) conductorSocket(lab string) string {
	return filepath.Join(h.labDir(lab), "conductor.sock")
}

func (h Host) conductorLog(lab string) string { return filepath.Join(h.labDir(lab), "conductor.log") }

func (h Host) journal(lab string) string { return filepath.Join(h.labDir(lab), journal.FileName) }

// save writes the state atomically: a reader sees the old one or the new one.
func (h Host) save(s state) error {
	dir := h.labDir(s.Mark.Lab)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	path := filepath.Join(dir, "state.json")
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// load reads the state. A missing one gives an error that wraps ErrNotUp. A torn
// or foreign one is an error too: the marks then say what is the lab's.
func (h Host) load(lab string) (state, error) {
	path := filepath.Join(h.labDir(lab), "state.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, fmt.Errorf("%s: %w", lab, ErrNotUp)
	}
	if err != nil {
		return state{}, fmt.Errorf("load state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("load state: %s: %w", path, err)
	}
	if s.Version != stateVersion || s.Mark.Lab != lab {
		return state{}, fmt.Errorf("load state: %s: version %d of lab %q, want version %d of %q", path, s.Version, s.Mark.Lab, stateVersion, lab)
	}
	return s, nil
}

// labNames returns the labs that have a folder, sorted.
func (h Host) labNames() ([]string, error) {
	entries, err := os.ReadDir(h.labsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// removeState removes the lab's folder. The folders above it go with the Host's
// lock, when no lab is left (release).
func (h Host) removeState(lab string) error {
	if err := os.RemoveAll(h.labDir(lab)); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// isGone reports whether a namespace's name leads nowhere.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, netns.ErrNotNamespace)
}
