package handshake

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9000, section 10.3.2: the token MUST be difficult to guess: it is a keyed hash, the
// same for one key and ID, another for any other.
func TestResetToken(t *testing.T) {
	id := func(b ...byte) wire.ConnID { return wire.NewConnID(b) }
	seen := map[wire.ResetToken]string{}
	for _, tt := range []struct {
		name string
		key  byte
		id   wire.ConnID
	}{
		{"a", 1, id(1, 2, 3, 4)},
		{"another ID", 1, id(1, 2, 3, 5)},
		{"a longer ID", 1, id(1, 2, 3, 4, 0)},
		{"another key", 2, id(1, 2, 3, 4)},
	} {
		token := ResetToken([32]byte{tt.key}, tt.id)
		if again := ResetToken([32]byte{tt.key}, tt.id); again != token {
			t.Errorf("%s: tokens %x and %x for one ID", tt.name, token, again)
		}
		if other, ok := seen[token]; ok {
			t.Errorf("%s has the token of %s", tt.name, other)
		}
		seen[token] = tt.name
	}
	// HMAC-SHA256, as openssl computes it.
	got := ResetToken([32]byte{}, wire.NewConnID([]byte("tquic")))
	wantBytes(t, "token", got[:], "bc5ba9041a7300ac5db282ca4380463f")
}
