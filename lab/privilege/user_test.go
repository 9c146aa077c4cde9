package privilege

import (
	"slices"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	root, err := Lookup(0, 0)
	if err != nil || root.Name != "root" || root.Home != "/root" || root.Shell == "" {
		t.Errorf("Lookup(0) = %+v, %v", root, err)
	}
	stranger, err := Lookup(3999999, 3999999)
	if err != nil || stranger.Name != "" || stranger.Home != "/" || len(stranger.Groups) != 0 || stranger.GID != 3999999 {
		t.Errorf("a user that the machine does not know: %+v, %v", stranger, err)
	}
	if _, err := Lookup(-1, 0); err == nil {
		t.Error("uid -1: no error")
	}
}

func TestShellOf(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\nshort:x:1\nann:x:1000:1000:Ann:/home/ann:/usr/bin/zsh\nnone:x:2:2::/:\n"
	for name, want := range map[string]string{"root": "/bin/bash", "ann": "/usr/bin/zsh", "none": "", "short": "", "x": "", "": ""} {
		if got := shellOf(strings.NewReader(passwd), name); got != want {
			t.Errorf("shellOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	before := []string{"PATH=/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "MAIL=/var/mail/root", "HOMER=x", "odd"}
	ann := User{UID: 1000, GID: 1000, Name: "ann", Home: "/home/ann", Shell: "/bin/zsh"}
	for _, tt := range []struct {
		name string
		user User
		want []string
	}{
		{"a user", ann, []string{"PATH=/bin", "HOMER=x", "odd", "HOME=/home/ann", "USER=ann", "LOGNAME=ann", "SHELL=/bin/zsh"}},
		{"one without a name", User{UID: 7, Home: "/"}, []string{"PATH=/bin", "HOMER=x", "odd", "HOME=/"}},
	} {
		if got := tt.user.Environment(before); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
