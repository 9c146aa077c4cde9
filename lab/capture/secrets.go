package capture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxKeyLog is the longest key log that is read: some hundred thousand sessions.
const maxKeyLog = 64 << 20

// Secrets are the TLS secrets of sessions, as a key log has them.
type Secrets struct {
	Text     []byte // the lines that are secrets, each once
	Sessions int    // with at least one secret
	Skipped  int    // lines that are neither secret, comment nor blank
}

// ReadSecrets reads a key log from a file.
func ReadSecrets(path string) (Secrets, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secrets{}, fmt.Errorf("read key log: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyLog+1))
	if err != nil {
		return Secrets{}, fmt.Errorf("read key log: %w", err)
	}
	if len(text) > maxKeyLog {
		return Secrets{}, fmt.Errorf("read key log: %s has more than %d bytes: is it a key log?", path, maxKeyLog)
	}
	return ParseSecrets(text), nil
}

// ParseSecrets takes the secrets out of a key log (SSLKEYLOGFILE format,
// draft-ietf-tls-keylogfile). Lines that it does not know are left out: the last
// one may be torn, and a file that is no key log must not end in a capture.
func ParseSecrets(text []byte) Secrets {
	var s Secrets
	lines, sessions := map[string]bool{}, map[string]bool{}
	for line := range bytes.Lines(text) {
		word := strings.TrimRight(string(line), "\r\n")
		if word == "" || word[0] == '#' {
			continue
		}
		random, ok := clientRandom(word)
		if !ok {
			s.Skipped++
			continue
		}
		sessions[random] = true
		if !lines[word] { // both sides of a session write it
			lines[word] = true
			s.Text = append(append(s.Text, word...), '\n')
		}
	}
	s.Sessions = len(sessions)
	return s
}

// clientRandom returns which session the secret on a line belongs to: label, client
// random and secret, with one space between them.
func clientRandom(line string) (string, bool) {
	const randomDigits, maxDigits = 64, 1024
	fields := strings.Split(line, " ")
	if len(fields) != 3 {
		return "", false
	}
	label, random, secret := fields[0], fields[1], fields[2]
	if label == "" || strings.Trim(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return "", false
	}
	ok := len(random) == randomDigits && isHex(random) &&
		len(secret) > 0 && len(secret)%2 == 0 && len(secret) <= maxDigits && isHex(secret)
	return strings.ToLower(random), ok
}

func isHex(text string) bool { return strings.Trim(text, "0123456789abcdefABCDEF") == "" }
