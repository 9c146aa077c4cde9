package interop

import (
	"crypto/tls"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// runCipher transfers data both ways, over a key update, and wants the cipher suite.
func runCipher(t *testing.T, want uint16) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		client, server := p.stream()
		for name, e := range map[string]end{"client": p.client, "server": p.server} {
			if got := e.tls().CipherSuite; got != want {
				t.Fatalf("the %s has %s, want %s", name, tls.CipherSuiteName(got), tls.CipherSuiteName(want))
			}
		}
		r.await("a key update", func() bool { return p.tquic.UpdateKeys() == nil })
		if err := exchange(client, server, 1_000_000); err != nil {
			t.Error(err)
		}
	})
}

// Processes of which crypto/tls believes that the CPU has AES instructions, or that
// it has not.
const (
	withAES    = "cpu.all=on"
	withoutAES = "cpu.aes=off"
)

// cipherVariable tells the test in its second process which suite to want.
const cipherVariable = "TQUICLAB_INTEROP_CIPHER"

// TestCiphers runs runCipher in processes of its own. crypto/tls cannot be told which
// suite of TLS 1.3 to use: it prefers AES where the CPU has instructions for it, and
// ChaCha20 elsewhere, and a process can be told that its CPU lacks them.
func TestCiphers(t *testing.T) {
	if suite := os.Getenv(cipherVariable); suite != "" {
		for _, id := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256} {
			if suite == tls.CipherSuiteName(id) {
				runCipher(t, id)
			}
		}
		return
	}
	for _, c := range []struct {
		suite uint16
		debug string
	}{{tls.TLS_AES_128_GCM_SHA256, withAES}, {tls.TLS_CHACHA20_POLY1305_SHA256, withoutAES}} {
		name := tls.CipherSuiteName(c.suite)
		t.Run(name, func(t *testing.T) {
			if c.debug == withAES && !cpu.X86.HasAES && !cpu.ARM64.HasAES {
				t.Skip("this CPU has no instructions for AES, and nothing can make crypto/tls believe that it has")
			}
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(t.Context(), exe, "-test.run=^TestCiphers$", "-test.v", "-test.timeout=2m")
			child.Env = append(os.Environ(), "GODEBUG="+c.debug, cipherVariable+"="+name)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, d := range []string{"tquic_to_quic-go", "quic-go_to_tquic"} {
				if os.Geteuid() == 0 && !strings.Contains(string(out), "--- PASS: TestCiphers/"+d+"_in_a_lab") {
					t.Errorf("the process did not run %s in a lab:\n%s", d, out)
				}
				if !strings.Contains(string(out), "--- PASS: TestCiphers/"+d) {
					t.Errorf("the process did not run %s:\n%s", d, out)
				}
			}
		})
	}
}
