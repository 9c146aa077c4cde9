package capture

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	randomA = strings.Repeat("a1", 32)
	randomB = strings.Repeat("B2", 32)
	secret  = strings.Repeat("0f", 48)
)

func TestParseSecrets(t *testing.T) {
	line := func(label, random, secret string) string { return label + " " + random + " " + secret + "\n" }
	good := line("CLIENT_TRAFFIC_SECRET_0", randomA, secret)
	for _, tt := range []struct {
		name, text string
		want       string
		sessions   int
		skipped    int
	}{
		{"nothing", "", "", 0, 0},
		{"one", good, good, 1, 0},
		{"both sides write the same", good + good, good, 1, 0},
		{"two sessions", good + line("CLIENT_RANDOM", randomB, secret), good + line("CLIENT_RANDOM", randomB, secret), 2, 0},
		{"two secrets of a session", good + line("EXPORTER_SECRET", randomA, secret), good + line("EXPORTER_SECRET", randomA, secret), 1, 0},
		{"comments and blank lines", "# by me\n\n" + good, good, 1, 0},
		{"line ends of other systems", strings.ReplaceAll(good, "\n", "\r\n"), good, 1, 0},
		{"torn in the secret's last digit", good + good[:len(good)-2], good, 1, 1},
		{"without its last newline", strings.TrimSuffix(good, "\n"), good, 1, 0},
		{"a password file", "root:x:0:0:root:/root:/bin/bash\n", "", 0, 1},
		{"a short client random", line("CLIENT_RANDOM", randomA[2:], secret), "", 0, 1},
		{"no secret", "CLIENT_RANDOM " + randomA + " \n", "", 0, 1},
		{"a label in small letters", line("client_random", randomA, secret), "", 0, 1},
		{"two spaces", "CLIENT_RANDOM  " + randomA + " " + secret + "\n", "", 0, 1},
		{"a secret of half a kilobyte and more", line("CLIENT_RANDOM", randomA, strings.Repeat("00", 513)), "", 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ParseSecrets([]byte(tt.text))
			if string(got.Text) != tt.want || got.Sessions != tt.sessions || got.Skipped != tt.skipped {
				t.Errorf("got %q, %d sessions, %d skipped; want %q, %d, %d", got.Text, got.Sessions, got.Skipped, tt.want, tt.sessions, tt.skipped)
			}
		})
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add([]byte("CLIENT_RANDOM " + randomA + " " + secret + "\n# x\nnonsense\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := ParseSecrets(text)
		if len(got.Text) > len(text)+1 {
			t.Errorf("%d bytes became %d", len(text), len(got.Text))
		}
		again := ParseSecrets(got.Text)
		if !bytes.Equal(again.Text, got.Text) || again.Sessions != got.Sessions || again.Skipped != 0 {
			t.Errorf("what was taken out gives other secrets when read again:\n%q\n%q", got.Text, again.Text)
		}
	})
}

func TestReadSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if _, err := ReadSecrets(path); err == nil {
		t.Error("a missing file gives no error")
	}
	huge, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	if err := huge.Truncate(maxKeyLog + 1); err != nil { // a hole: no disk is used
		t.Fatal(err)
	}
	if _, err := ReadSecrets(path); err == nil || !strings.Contains(err.Error(), "is it a key log") {
		t.Errorf("a huge file: %v, want an error that asks what it is", err)
	}
}
