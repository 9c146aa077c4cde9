package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// qlogDir is the qlog files' place in the run folder.
const qlogDir = "qlog"

// qlogFolder makes the folder of a trial's qlog files and returns its absolute
// path, or "" when there are to be none. It belongs to the user that the agents
// become: connections may come when they are no longer root.
func (r *run) qlogFolder(p planned) (string, error) {
	if !r.QLOG || !r.writesQLOG(p.arm) {
		return "", nil
	}
	dir, err := filepath.Abs(filepath.Join(r.Folder.Dir(), qlogDir, p.name()))
	if err != nil {
		return "", fmt.Errorf("find the qlog folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create the qlog folder: %w", err)
	}
	if r.Drop == nil {
		return dir, nil
	}
	if err := os.Chown(dir, r.Drop.UID, r.Drop.GID); err != nil {
		return "", fmt.Errorf("give the qlog folder to the agents' user: %w", err)
	}
	return dir, nil
}

func (r *run) writesQLOG(a arm) bool {
	e, err := r.Engines.Lookup(a.Engine)
	return err == nil && e.Capabilities().QLOG // planArms has found every engine of an arm
}

// qlogWarnings says which engines of the run write no qlog though it was asked for.
func (r *run) qlogWarnings() []string {
	if !r.QLOG {
		return nil
	}
	var without []string
	for _, p := range r.plan {
		if !r.writesQLOG(p.arm) && !slices.Contains(without, p.arm.Engine) {
			without = append(without, p.arm.Engine)
		}
	}
	if len(without) == 0 {
		return nil
	}
	slices.Sort(without)
	return []string{"no qlog: not written by " + strings.Join(without, ", ")}
}
