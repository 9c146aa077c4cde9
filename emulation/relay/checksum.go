package relay

import (
	"encoding/binary"
	"math/bits"
)

// wordSum adds bytes, the first at an even offset, to a sum of 16-bit words in
// ones' complement. The words are in the machine's byte order, which the sum does
// not mind as long as it is written in the same (RFC 1071, section 2).
func wordSum(sum uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 32 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(rest[:]), carry)
	}
	sum, carry = bits.Add64(sum, 0, carry)
	return sum + carry
}

// fold makes a sum one word.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum&0xffff)
}

// putChecksum writes the complement of the sum of all that a checksum covers.
func putChecksum(b []byte, sum uint64) { binary.NativeEndian.PutUint16(b, ^fold(sum)) }

// putTransportChecksum is putChecksum for TCP, or for UDP, where 0 stands for no
// checksum and 0xffff, which is the same number, for one that comes out as 0 (RFC 768).
func putTransportChecksum(b []byte, sum uint64, udp bool) {
	putChecksum(b, sum)
	if udp && b[0]|b[1] == 0 {
		b[0], b[1] = 0xff, 0xff
	}
}

// pseudoSum is the sum of the pseudo-header that TCP and UDP sum up with their
// own (RFC 9293, section 3.1; RFC 8200, section 8.1): both addresses, the protocol
// and the length, which is below 64 KiB.
func pseudoSum(addresses []byte, protocol byte, length int) uint64 {
	rest := [4]byte{1: protocol, 2: byte(length >> 8), 3: byte(length)}
	return wordSum(wordSum(0, addresses), rest[:])
}
