package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/lab/capture"
)

// tshark returns the packets of a file that a display filter of Wireshark's takes,
// with the given fields of each.
func tshark(t *testing.T, file, filter string, fields ...string) []string {
	t.Helper()
	args := []string{"-r", file, "-Y", filter, "-T", "fields"}
	for _, f := range append([]string{"frame.number"}, fields...) {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")[:bytes.Count(out, []byte("\n"))]
}

func frame(t *testing.T, number string) int {
	t.Helper()
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// capturedRun runs one engine over a lossless link, with its packets captured, and
// returns the file.
func capturedRun(t *testing.T, p *program, engine string) string {
	t.Helper()
	var stderr bytes.Buffer
	args := []string{
		"run", "lte-wifi-lossless", "--name", p.lab, "--engine", engine + "@wifi", "--rounds", "1", "--bytes", "300KB",
		"--capture", "--out", filepath.Join(p.out, engine),
	}
	if err := p.command(&stderr, args...).Run(); err != nil {
		t.Fatalf("run %s: %v\n%s", engine, err, &stderr)
	}
	folder := filepath.Join(p.out, engine, "capture")
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 || entries[0].Name() != "1-1-"+engine+".pcapng" {
		t.Fatalf("capture folder has %v, %v, want one file and no key log", entries, err)
	}
	return filepath.Join(folder, entries[0].Name())
}

// Wireshark sees through the captures of a run: QUIC down to its frames, TLS down to
// its messages. Without the secrets it could not, as the last check says.
func TestCaptureOfARunOpensDecrypted(t *testing.T) {
	for _, engine := range []string{"tquic", "quic-go"} {
		t.Run(engine, func(t *testing.T) {
			file := capturedRun(t, newProgram(t), engine)
			const finished = "20"
			if got := tshark(t, file, "tls.handshake.type == "+finished); len(got) < 2 {
				t.Errorf("%d packets with a TLS Finished, want those of both sides", len(got))
			}
			// 300 KB are 200 packets of 1500 bytes at the least.
			if got := tshark(t, file, "quic.short && quic.stream.stream_id"); len(got) < 200 {
				t.Errorf("%d 1-RTT packets with a STREAM frame, want 200 and more", len(got))
			}
			// Behind the close a side that has forgotten the connection answers with random
			// bytes, a stateless reset (RFC 9000, section 10.3).
			closing := tshark(t, file, "quic.frame_type == 28 || quic.frame_type == 29")
			failed := tshark(t, file, "udp && !icmp && (quic.decryption_failed || _ws.malformed)")
			if len(closing) == 0 || len(failed) > 0 && frame(t, failed[0]) < frame(t, closing[0]) {
				t.Errorf("packets %v did not decrypt; the connection closed in %v", failed, closing)
			}
			bare := filepath.Join(t.TempDir(), "bare.pcapng")
			if out, err := exec.Command("editcap", "--discard-all-secrets", file, bare).CombinedOutput(); err != nil {
				t.Fatalf("editcap: %v\n%s", err, out)
			}
			if got := tshark(t, bare, "quic.short && quic.stream.stream_id"); len(got) > 0 {
				t.Errorf("%d STREAM frames can be seen without the secrets", len(got))
			}
		})
	}
	t.Run("tcp-tls", func(t *testing.T) {
		file := capturedRun(t, newProgram(t), "tcp-tls")
		// Its content type shows in a decrypted TLS 1.3 record only (RFC 8446, section 5.2).
		for what, filter := range map[string]string{
			"Certificate":      "tls.handshake.type == 11",
			"Finished":         "tls.handshake.type == 20",
			"application data": "tls.record.opaque_type == 23 && tls.record.content_type == 23",
		} {
			if got := tshark(t, file, filter); len(got) == 0 {
				t.Errorf("no packet with %s", what)
			}
		}
	})
}

// startCapture starts a capture of the program's lab and waits until it runs.
func (p *program) startCapture(file string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	p.t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = p.command(stderr, append([]string{"capture", p.lab, "--write", file, "--json"}, args...)...)
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for range 2000 {
		if _, err := os.Stat(file); err == nil {
			return cmd, stdout, stderr
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.t.Fatalf("the capture wrote no file")
	return nil, nil, nil
}

// upWithTraffic raises the lab and returns what sends n packets each way over wifi.
func (p *program) upWithTraffic() (ping func(n int)) {
	p.t.Helper()
	var stderr bytes.Buffer
	if err := p.command(&stderr, "up", "lte-wifi-lossless", "--name", p.lab).Run(); err != nil {
		p.t.Fatalf("up: %v\n%s", err, &stderr)
	}
	return func(n int) {
		p.t.Helper()
		var stderr bytes.Buffer
		if err := p.command(&stderr, "exec", p.lab, "client", "ping", "-q", "-i", "0.01", "-c", strconv.Itoa(n), "-W", "5", "10.77.1.2").Run(); err != nil {
			p.t.Fatalf("ping: %v\n%s", err, &stderr)
		}
	}
}

func TestCaptureEndsInOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p *program, cmd *exec.Cmd)
	}{
		{"by ctrl-C", func(_ *program, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGINT) }},
		{"by SIGTERM", func(_ *program, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) }},
		{"with its lab", func(p *program, _ *exec.Cmd) { p.mustDown() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgram(t)
			ping := p.upWithTraffic()
			file := filepath.Join(t.TempDir(), "c.pcapng")
			cmd, stdout, stderr := p.startCapture(file, "wifi.up", "server:wifi")
			ping(5)
			tt.end(p, cmd)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("capture: %v\n%s", err, stderr)
			}
			var s capture.Summary
			if err := json.Unmarshal(stdout.Bytes(), &s); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			// The kernel reports its multicast groups beside the 20 packets of ping.
			if s.Ended != capture.EndedByStop || s.Packets < 20 || s.Dropped != 0 {
				t.Errorf("summary %+v, want 20 packets and more", s)
			}
			for point, want := range map[string]int{"wifi.up.in": 5, "wifi.up.out": 5, "server:wifi": 10} {
				if got := tshark(t, file, `icmp && frame.interface_name == "`+point+`"`); len(got) != want {
					t.Errorf("%d packets at %s, want %d", len(got), point, want)
				}
			}
			p.mustDown()
			p.wantNothingLeft()
		})
	}
}

func TestKilledCaptureIsReadable(t *testing.T) {
	p := newProgram(t)
	ping := p.upWithTraffic()
	file := filepath.Join(t.TempDir(), "c.pcapng")
	cmd, _, stderr := p.startCapture(file, "client:wifi")
	ping(5)
	for range 500 { // until it wrote them
		if len(tshark(t, file, "icmp")) == 10 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("the capture was not killed\n%s", stderr)
	}
	if got := tshark(t, file, "icmp"); len(got) != 10 {
		t.Errorf("%d packets in the file, want 10", len(got))
	}
	p.mustDown()
	p.wantNothingLeft()
}

// With a key log of somebody else's program, its secrets are in the file, which is
// the user's.
func TestCaptureWithKeyLog(t *testing.T) {
	p := newProgram(t)
	p.upWithTraffic()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("# nothing yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SUDO_UID", "65534")
	t.Setenv("SUDO_GID", "65534")
	file := filepath.Join(dir, "c.pcapng")
	cmd, stdout, stderr := p.startCapture(file, "client:wifi", "--keylog", keys)
	t.Setenv(keyLogVariable, keys)
	var runErr bytes.Buffer
	run := p.command(&runErr, "run", "lte-wifi-lossless", "--name", p.lab, "--engine", "quic-go@wifi", "--rounds", "1", "--bytes", "50KB", "--out", p.out)
	if err := run.Run(); err != nil {
		t.Fatalf("run: %v\n%s", err, &runErr)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("capture: %v\n%s", err, stderr)
	}
	if !strings.Contains(stdout.String(), `"sessions_with_secrets": 1`) {
		t.Errorf("the summary says nothing of the session: %s", stdout)
	}
	if got := tshark(t, file, "quic.short && quic.stream.stream_id"); len(got) == 0 {
		t.Error("no STREAM frame can be seen")
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 65534 || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is user %d's, mode %v; want 65534's alone", owner, info.Mode())
	}
}
