package handshake

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ResetToken returns the stateless reset token of a connection ID that the key's
// owner issued (RFC 9000, section 10.3.2): HMAC-SHA256, cut to 16 bytes. The key is
// secret and outlives the connections that may need a reset.
func ResetToken(key [32]byte, id wire.ConnID) wire.ResetToken {
	// RFC 9000, section 10.3.2: the token MUST be difficult to guess.
	mac := hmac.New(sha256.New, key[:])
	mac.Write(id.Bytes())
	return wire.ResetToken(mac.Sum(nil)[:16])
}
