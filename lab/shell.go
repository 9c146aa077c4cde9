package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/privilege"
)

// The environment variables that tell a shell in a node, and what runs in it, where
// it is.
const (
	LabVariable  = "TQUICLAB_LAB"
	NodeVariable = "TQUICLAB_NODE"
)

// Shell replaces this process by an interactive shell inside the node, as Exec
// does: the user's login shell, with a prompt that says where it is.
func (l *Lab) Shell(node string, as privilege.User) error {
	shell := shellFor(as)
	c := Command{
		Argv: []string{shell},
		Env:  []string{LabVariable + "=" + l.Name(), NodeVariable + "=" + node},
	}
	if as.UID > 0 {
		c.As = &as
	}
	where := "[" + l.Name() + ":" + node + "] "
	if filepath.Base(shell) == "bash" {
		// The user's own settings set the prompt, so ours come behind them.
		rc, err := unlinkedFile("prompt", bashSettings(where))
		if err != nil {
			return fmt.Errorf("run a shell in node %s: %w", node, err)
		}
		c.Argv = append(c.Argv, "--rcfile", fmt.Sprintf("/proc/self/fd/%d", rc), "-i")
		return l.Exec(node, c)
	}
	c.Argv = append(c.Argv, "-i")
	c.Env = append(c.Env, "PS1="+where+"$ ", "PROMPT="+where+"%# ") // sh and its kin; zsh
	return l.Exec(node, c)
}

// shellFor returns the user's login shell, or one that every system has, when the
// user's is there to keep people out.
func shellFor(u privilege.User) string {
	if u.Shell == "" || slices.Contains([]string{"nologin", "false", "sync"}, filepath.Base(u.Shell)) {
		return "/bin/sh"
	}
	return u.Shell
}

// bashSettings returns what bash reads at its start. The names of labs and nodes
// are letters, digits and dashes, so they need no quotes.
func bashSettings(where string) string {
	return "[ -f ~/.bashrc ] && . ~/.bashrc\n" +
		"PS1='" + where + "'\"$PS1\"\n"
}

// unlinkedFile returns a descriptor of a file without a name, which a program that
// this process executes inherits.
func unlinkedFile(name, text string) (int, error) {
	fd, err := unix.MemfdCreate(name, 0) // not closed on exec
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return -1, os.NewSyscallError("write", err)
	}
	return fd, nil
}
