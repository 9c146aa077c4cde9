package handshake

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name   string
		side   wire.Perspective
		change func(*Config)
		want   []string
	}{
		{"no TLS", wire.Client, func(c *Config) { c.TLS = nil }, []string{"tls.Config"}},
		// RFC 9001, section 8.1: ALPN MUST be used.
		{"no ALPN", wire.Server, func(c *Config) { c.TLS.NextProtos = nil }, []string{"NextProtos"}},
		{"old TLS", wire.Client, func(c *Config) { c.TLS.MaxVersion = tls.VersionTLS12 }, []string{"MaxVersion", "TLS 1.2"}},
		{"no name", wire.Client, func(c *Config) { c.TLS.ServerName = "" }, []string{"ServerName"}},
		{"no certificate", wire.Server, func(c *Config) { c.TLS.Certificates = nil }, []string{"Certificates"}},
		{"all at once", wire.Server, func(c *Config) { c.TLS = &tls.Config{MaxVersion: tls.VersionTLS12} }, []string{"NextProtos", "MaxVersion", "Certificates"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := configs(t)
			c := client
			if tt.side == wire.Server {
				c = server
			}
			tt.change(&c)
			_, err := New(c)
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range tt.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %s", err, word)
				}
			}
		})
	}
	t.Run("a config that is fine is not changed", func(t *testing.T) {
		client, _ := configs(t)
		client.TLS.MinVersion = tls.VersionTLS12
		h, err := New(client)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if client.TLS.MinVersion != tls.VersionTLS12 {
			t.Error("the caller's config was changed")
		}
	})
}
