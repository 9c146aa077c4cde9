package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/privilege"
)

// invokingUser is who typed sudo. Nil means that nobody did.
type invokingUser struct {
	uid, gid int
}

// invokingUser reads what sudo(8) says. Wrong values are an error, not root.
func (a *app) invokingUser() (*invokingUser, error) {
	uid, gid := a.getenv("SUDO_UID"), a.getenv("SUDO_GID")
	if uid == "" || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err1 := strconv.Atoi(uid)
	g, err2 := strconv.Atoi(gid)
	if err := errors.Join(err1, err2); err != nil || u < 0 || g < 0 {
		return nil, fmt.Errorf("SUDO_UID=%q and SUDO_GID=%q do not name a user: unset them or run under sudo", uid, gid)
	}
	if u == 0 {
		return nil, nil
	}
	return &invokingUser{u, g}, nil
}

// credential is what the agents become once their sockets are open.
func (u *invokingUser) credential() *agent.Credential {
	if u == nil {
		return nil
	}
	return &agent.Credential{UID: u.uid, GID: u.gid}
}

// invokingIdentity is who typed sudo, as a command in a node becomes them. Nil
// means that nobody did.
func (a *app) invokingIdentity() (*privilege.User, error) {
	u, err := a.invokingUser()
	if u == nil || err != nil {
		return nil, err
	}
	identity, err := privilege.Lookup(u.uid, u.gid)
	return &identity, err
}

// own gives a file or folder that root made to the user. Links are not followed.
func (u *invokingUser) own(dir string) error {
	if u == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, u.uid, u.gid)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // discarded
	}
	if err != nil {
		return fmt.Errorf("give the results to user %d: %w", u.uid, err)
	}
	return nil
}
