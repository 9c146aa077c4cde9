package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// MarkVariable is the environment variable in which a lab's processes carry its
// mark. Children inherit it.
const MarkVariable = "TQUICLAB_MARK"

const markPrefix = "tquiclab"

// maxAlias is the longest interface alias (IFALIASZ - 1, linux/if.h).
const maxAlias = 255

// Mark says whose an object is: which lab, which raising of it, in which state
// folder.
type Mark struct {
	Lab string
	ID  string // differs between two raisings of the same lab
	Dir string // of the Host
}

// newMark returns a mark that no other lab bears.
func newMark(lab, dir string) (Mark, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Mark{}, fmt.Errorf("mark lab %s: %w", lab, err)
	}
	m := Mark{Lab: lab, ID: strings.ToLower(rand.Text()[:10]), Dir: dir}
	if n := len(m.String()); n > maxAlias {
		return Mark{}, fmt.Errorf("mark lab %s: %d bytes long, an interface alias holds %d: use a shorter name or state folder", lab, n, maxAlias)
	}
	return m, nil
}

// String returns the mark as objects bear it.
func (m Mark) String() string {
	return strings.Join([]string{markPrefix, m.Lab, m.ID, m.Dir}, ":")
}

// parseMark is the inverse of String. Text that is no mark of ours gives false.
func parseMark(s string) (Mark, bool) {
	parts := strings.SplitN(s, ":", 4)
	if len(parts) != 4 || parts[0] != markPrefix || parts[1] == "" || parts[2] == "" || parts[3] == "" {
		return Mark{}, false
	}
	return Mark{Lab: parts[1], ID: parts[2], Dir: parts[3]}, true
}

// markedNamespace is a namespace of a lab.
type markedNamespace struct {
	name  string
	inode uint64
	mark  Mark
}

// markedNamespaces returns every named namespace that bears a mark of this Host.
// Names that vanish meanwhile are left out; one that cannot be read is an error
// beside the rest, so that a stranger's broken namespace stops nobody.
func (h Host) markedNamespaces() ([]markedNamespace, error) {
	names, err := netns.Names()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(h.dir())
	if err != nil {
		return nil, err
	}
	var found []markedNamespace
	var errs []error
	for _, name := range names {
		if !strings.HasPrefix(name, namePrefix) {
			continue
		}
		ns, err := readNamespace(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if ns.mark.Dir == dir {
			found = append(found, ns)
		}
	}
	return found, errors.Join(errs...)
}

// readNamespace returns the namespace's mark, or a zero mark when it bears none
// of ours, or is gone, or is only an empty file.
func readNamespace(name string) (markedNamespace, error) {
	found := markedNamespace{name: name}
	ns, err := netns.Open(name)
	if err != nil {
		if isGone(err) {
			return found, nil
		}
		return found, err
	}
	defer ns.Close()
	text, err := ns.Mark()
	if err != nil {
		return found, err
	}
	found.mark, _ = parseMark(text)
	found.inode, err = ns.Inode()
	return found, err
}
