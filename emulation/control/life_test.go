package control

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestWaitReady(t *testing.T) {
	for _, tc := range []struct{ said, want string }{
		{"ready\n", ""},
		{"it is broken\n", "start relay: it is broken"},
		{"", "ended without a word"},
		{"read", "start relay: read"},
	} {
		err := WaitReady("relay", strings.NewReader(tc.said))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%q gives %v, want %q", tc.said, err, tc.want)
		}
	}
}

func TestLive(t *testing.T) {
	broken := errors.New("first line\nsecond line")
	for _, tt := range []struct {
		name, said string
		says       bool
		err        error
	}{
		{"well", "ready\n", true, nil},
		{"an error before it is ready", "first line; second line\n", false, broken},
		{"an error after it", "ready\n", true, broken},
	} {
		var out bytes.Buffer
		err := Live(t.Context(), &out, func(_ context.Context, ready func() error) error {
			if tt.says {
				if err := ready(); err != nil {
					return err
				}
			}
			return tt.err
		})
		if !errors.Is(err, tt.err) || out.String() != tt.said {
			t.Errorf("%s: said %q, returned %v; want %q and %v", tt.name, out.String(), err, tt.said, tt.err)
		}
	}
}
