package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"github.com/wattveil/wattveil"
)

const (
	labelLocator = "wattveil1 claim locator"
	crockford    = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	checkSymbols = crockford + "*~$=U"
	claimDigits  = 20
	claimLength  = claimDigits + 1
	claimGroup   = 7
)

// ClaimCode is the code that a meter shows on a local action (spec/protocol.md
// section 8): 20 bits that find the meter at the TTP, 80 bits that prove that
// both share an epoch's k_claim. It redacts itself; Text shows it.
type ClaimCode struct {
	redacted
	Locator uint32 // 20 bits
	Secret  [10]byte
}

// Locator is the first 20 bits of the hash that finds a meter by its code.
func Locator(m wattveil.Meter) uint32 {
	b := binary.BigEndian.AppendUint32([]byte(labelLocator), uint32(m.UC))
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(m.Pseudonym)))
	return binary.BigEndian.Uint32(sum[:]) >> 12
}

// NewClaimCode is the code of a meter under an epoch's k_claim.
func NewClaimCode(m wattveil.Meter, claim [32]byte) ClaimCode {
	return ClaimCode{Locator: Locator(m), Secret: [10]byte(claim[:10])}
}

// Text is the code as shown: three groups of seven characters.
func (c ClaimCode) Text() string {
	n := c.number()
	digits := make([]byte, claimLength)
	rest, five := new(big.Int).Set(n), big.NewInt(32)
	for i := claimDigits - 1; i >= 0; i-- {
		var digit big.Int
		rest.DivMod(rest, five, &digit)
		digits[i] = crockford[digit.Int64()]
	}
	digits[claimDigits] = checkSymbol(n)
	var groups []string
	for i := 0; i < claimLength; i += claimGroup {
		groups = append(groups, string(digits[i:i+claimGroup]))
	}
	return strings.Join(groups, "-")
}

// ParseClaimCode reads a code as a person types it. A wrong length, character
// or check symbol is malformed.
func ParseClaimCode(s string) (ClaimCode, error) {
	s = strings.Map(claimCharacter, s)
	if len(s) != claimLength {
		return ClaimCode{}, fmt.Errorf("%w: claim code has %d characters, want %d", Malformed, len(s), claimLength)
	}
	n := new(big.Int)
	for _, c := range []byte(s[:claimDigits]) {
		digit := strings.IndexByte(crockford, c)
		if digit < 0 {
			return ClaimCode{}, fmt.Errorf("%w: claim code holds a character that no code has", Malformed)
		}
		n.Add(n.Lsh(n, 5), big.NewInt(int64(digit)))
	}
	if s[claimDigits] != checkSymbol(n) {
		return ClaimCode{}, fmt.Errorf("%w: check character of the claim code does not fit", Malformed)
	}
	var raw [16]byte
	n.Lsh(n, 28).FillBytes(raw[:]) // 100 bits to the left of 128
	var c ClaimCode
	c.Locator = binary.BigEndian.Uint32(raw[:]) >> 12
	low := new(big.Int).Rsh(n, 28)
	low.And(low, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 80), big.NewInt(1)))
	low.FillBytes(c.Secret[:])
	return c, nil
}

// claimCharacter maps what a person may type to what the code holds. Only
// ASCII: Unicode knows other letters whose upper case is one of A to Z.
func claimCharacter(c rune) rune {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch c {
	case '-', ' ':
		return -1
	case 'O':
		return '0'
	case 'I', 'L':
		return '1'
	}
	return c
}

// number is the 100 bits of locator and secret.
func (c ClaimCode) number() *big.Int {
	n := big.NewInt(int64(c.Locator))
	return n.Or(n.Lsh(n, 80), new(big.Int).SetBytes(c.Secret[:]))
}

func checkSymbol(n *big.Int) byte {
	return checkSymbols[new(big.Int).Mod(n, big.NewInt(int64(len(checkSymbols)))).Int64()]
}
