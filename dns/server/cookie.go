package server

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// DNS Cookies (RFC 7873) in the interoperable form of RFC 9018: a server cookie is the version, three zero octets, the
// time it was made and SipHash-2-4 of all that with the client cookie and the client's address. Replicas with one
// secret take each other's cookies.
const (
	clientCookieSize = 8
	serverCookieSize = 16
	minCookieSize    = clientCookieSize + 8 // RFC 7873 section 4: a server cookie has 8 to 32 octets
	maxCookieSize    = clientCookieSize + 32

	cookieVersion = 1
	// How old a cookie may be, how far in the future (clocks differ), and from which age on it is renewed (RFC 9018
	// section 4.3).
	cookieLife    = time.Hour
	cookieAhead   = 5 * time.Minute
	cookieRenewal = 30 * time.Minute
)

// isCookie reports whether the option data has one of the lengths that RFC 7873 section 4 allows.
func isCookie(data []byte) bool {
	return len(data) == clientCookieSize || len(data) >= minCookieSize && len(data) <= maxCookieSize
}

// checkCookie says whether the server part of a cookie is ours, made for this client, and how old it is.
func checkCookie(secret [2]uint64, data []byte, addr netip.Addr, now uint32) (age time.Duration, ok bool) {
	if len(data) != clientCookieSize+serverCookieSize || data[clientCookieSize] != cookieVersion {
		return 0, false
	}
	made := binary.BigEndian.Uint32(data[clientCookieSize+4:])
	age = time.Duration(int32(now-made)) * time.Second // RFC 1982 arithmetic, as RFC 9018 section 4.3 has it
	if age > cookieLife || age < -cookieAhead {
		return age, false
	}
	want := hashCookie(secret, data[:16], addr)
	return age, want == binary.LittleEndian.Uint64(data[16:])
}

// appendCookie appends the whole option data: the client's cookie, then ours.
func appendCookie(dst []byte, secret [2]uint64, client []byte, addr netip.Addr, now uint32) []byte {
	start := len(dst)
	dst = append(dst, client[:clientCookieSize]...)
	dst = append(dst, cookieVersion, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, now)
	return binary.LittleEndian.AppendUint64(dst, hashCookie(secret, dst[start:], addr))
}

// hashCookie hashes what stands before the hash in a cookie, the reserved octets as they are, and the address.
func hashCookie(secret [2]uint64, head []byte, addr netip.Addr) uint64 {
	var message [32]byte
	n := copy(message[:], head)
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		n += copy(message[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(message[n:], a[:])
	}
	return sipHash(secret, message[:n])
}

func sipKey(secret [16]byte) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(secret[:]), binary.LittleEndian.Uint64(secret[8:])}
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012).
func sipHash(key [2]uint64, message []byte) uint64 {
	v := [4]uint64{
		key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573,
	}
	last := uint64(len(message)) << 56
	for ; len(message) >= 8; message = message[8:] {
		sipBlock(&v, binary.LittleEndian.Uint64(message))
	}
	for i, c := range message {
		last |= uint64(c) << (8 * i)
	}
	sipBlock(&v, last)
	v[2] ^= 0xff
	for range 4 {
		sipRound(&v)
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func sipBlock(v *[4]uint64, m uint64) {
	v[3] ^= m
	sipRound(v)
	sipRound(v)
	v[0] ^= m
}

func sipRound(v *[4]uint64) {
	v[0] += v[1]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[3]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[2] = bits.RotateLeft64(v[2], 32)
}
