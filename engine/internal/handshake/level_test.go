package handshake

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLevelNames(t *testing.T) {
	var got []string
	for l := range Level(levels + 1) {
		got = append(got, l.String())
	}
	if diff := cmp.Diff([]string{"Initial", "0-RTT", "Handshake", "1-RTT", "Level(4)"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
