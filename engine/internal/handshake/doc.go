// Package handshake secures QUIC version 1: it derives keys, protects packets and
// their headers, updates the 1-RTT keys, runs crypto/tls, and makes the values
// that prove something to a peer: Retry integrity tags, address validation tokens,
// stateless reset tokens (RFC 9001; RFC 9000, sections 8.1, 10.3 and 17.2.5;
// draft-ietf-quic-multipath-21, sections 2.4 and 2.5).
//
// It has no cryptography of its own: crypto/aes, crypto/cipher, crypto/hkdf,
// crypto/hmac and x/crypto's ChaCha20-Poly1305. It parses no packet: it works on
// byte slices and on the offset of the packet number, and keeps no reference to
// what it is given. It does not decide when keys are dropped, apart from those of a
// former key phase: its owner stops using a Sealer or an Opener.
//
// Files:
//
//	level.go    the encryption levels
//	suite.go    cipher suites: AEAD, key derivation, limits
//	header.go   header protection
//	seal.go     Sealer and Opener: one direction of one long-header level
//	onertt.go   OneRTT: both directions of 1-RTT, limits
//	phase.go    which keys are for a received packet, which packets of a path mark the phase
//	update.go   key updates
//	config.go   Config: what a TLS is made with
//	tls.go      TLS: crypto/tls driven by CRYPTO data
//	event.go    what TLS tells its owner
//	post.go     TLS messages after the handshake
//	session.go  what a session remembers for 0-RTT
//	retry.go    the Retry integrity tag
//	token.go    address validation tokens
//	reset.go    stateless reset tokens
//
// Invariants: a nonce is used once per key, as long as the owner numbers packets of
// a path upwards; a packet, good or bad, is opened by one AEAD operation, with keys
// that exist already, so that its time says nothing about its key phase; nothing is
// allocated for a packet, one exception below. All types have one owner at a time, but Tokens is safe
// for concurrent use. crypto/tls runs a goroutine of its own for each TLS until the
// handshake is over; Close ends it.
//
// Limitations:
//   - GODEBUG=fips140=only forbids what QUIC prescribes (Initial keys); InitialKeys
//     and RetryTag panic in that mode.
//   - The AEAD limits (RFC 9001, section 6.6) are counted for 1-RTT only: no
//     handshake has 2^23 packets, and initial_max_data bounds what 0-RTT does.
//   - A second update by the peer is known as a breach only while nothing was sent
//     in the current phase: which packets carry acknowledgments is not known here.
//     Nor is it checked that the packet with an ACK frame is itself of the phase
//     that it acknowledges. RFC 9001, section 6.2, leaves both open (MAY).
//   - CRYPTO data that TLS has not consumed when the level changes ends in
//     crypto/tls's unexpected_message, not in PROTOCOL_VIOLATION.
//   - A HelloRetryRequest that answers an offer of 0-RTT ends the handshake: Go 1.26's
//     crypto/tls drops early_data from the second ClientHello after it has computed
//     the PSK binder over it. Client and server must share a curve for 0-RTT.
//   - Without assembler for it (amd64 with AVX2 and BMI2 has it) ChaCha20-Poly1305
//     allocates once for each packet sealed or opened.
//   - Tokens are accepted any number of times while they are valid.
package handshake
