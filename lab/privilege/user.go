package privilege

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// User is somebody whom a process can become.
type User struct {
	UID, GID int
	Groups   []int  // supplementary ones
	Name     string // empty where the machine knows none
	Home     string // "/" where it knows none
	Shell    string // as passwd(5) has it; empty where it has none
}

// Lookup returns what the machine knows of a user. One that it does not know has
// no groups but the given one, and no name.
func Lookup(uid, gid int) (User, error) {
	u := User{UID: uid, GID: gid, Home: "/"}
	if uid < 0 || gid < 0 {
		return u, fmt.Errorf("look up user: uid %d and gid %d name nobody", uid, gid)
	}
	known, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return u, nil
	}
	u.Name = known.Username
	if known.HomeDir != "" {
		u.Home = known.HomeDir
	}
	ids, err := known.GroupIds()
	if err != nil {
		return u, fmt.Errorf("look up the groups of %s: %w", u.Name, err)
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != gid {
			u.Groups = append(u.Groups, n)
		}
	}
	if passwd, err := os.Open("/etc/passwd"); err == nil {
		defer passwd.Close()
		u.Shell = shellOf(passwd, u.Name)
	}
	return u, nil
}

// shellOf reads a user's login shell from a passwd(5) file, which package os/user
// does not tell. It returns "" where there is none.
func shellOf(passwd io.Reader, name string) string {
	const fieldsOfUser, fieldOfShell = 7, 6
	lines := bufio.NewScanner(passwd)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) == fieldsOfUser && fields[0] == name {
			return fields[fieldOfShell]
		}
	}
	return ""
}

// Environment returns the environment as the user's: with their HOME, USER, LOGNAME
// and SHELL in place of whoever's are there.
func (u User) Environment(environ []string) []string {
	set := []string{"HOME=" + u.Home}
	if u.Name != "" {
		set = append(set, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	if u.Shell != "" {
		set = append(set, "SHELL="+u.Shell)
	}
	kept := make([]string, 0, len(environ)+len(set))
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HOME", "USER", "LOGNAME", "SHELL", "MAIL":
		default:
			kept = append(kept, v)
		}
	}
	return append(kept, set...)
}
