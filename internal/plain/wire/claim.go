package wire

import "strings"

// Locator is the first 20 bits of the hash that finds a meter (section 8).
func Locator(uc uint32, anID uint64) uint32 {
	return uint32(number(hash([]byte("wattveil1 claim locator"), u32(uc), u64(anID))[:3]) >> 4)
}

// ClaimCode is the code as shown, made bit by bit.
func ClaimCode(uc uint32, anID uint64, kClaim []byte) string {
	bits := append(bitsOf(u32(Locator(uc, anID)))[12:], bitsOf(kClaim[:10])...)
	var code strings.Builder
	rest := 0
	for i := 0; i < 100; i += 5 {
		digit := 0
		for _, bit := range bits[i : i+5] {
			digit = 2*digit + bit
			rest = (2*rest + bit) % 37
		}
		code.WriteByte("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit])
	}
	code.WriteByte("0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"[rest])
	s := code.String()
	return s[0:7] + "-" + s[7:14] + "-" + s[14:21]
}

// bitsOf lists the bits of b, the most significant first.
func bitsOf(b []byte) []int {
	var bits []int
	for _, c := range b {
		for i := 7; i >= 0; i-- {
			bits = append(bits, int(c>>i)&1)
		}
	}
	return bits
}
