// Command generate writes the vectors of spec/protocol.md into the folder
// above. All that a party would draw comes from SHA-256 of a seed, so every run
// writes the same bytes. It uses the plain implementation only.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	vectors "github.com/wattveil/wattveil/vectors/wire"
)

// The failure classes that a decoder can answer.
const (
	malformed = "malformed"
	forged    = "forged"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// write puts all files into a folder. "go generate" runs in the folder of the
// package that asks for it.
func write(dir string) error {
	files, err := all().Files()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write vectors: %w", err)
		}
	}
	return nil
}

func all() *vectors.Vectors {
	return &vectors.Vectors{
		Blocks:           blocks(),
		Data:             data(),
		RegisterRequests: registerRequests(),
		RegisterAnswers:  registerAnswers(),
		RegisterRefusals: registerRefusals(),
		Offers:           offers(),
		Answers:          answers(),
		Controls:         controls(),
		Sessions:         sessions(),
		Forwards:         forwards(),
		ForwardAnswers:   forwardAnswers(),
		Messages:         messages(),
		Verdicts:         verdicts(),
		Exchanges:        exchanges(),
		ExchangeAnswers:  exchangeAnswers(),
		ClaimCodes:       claimCodes(),
		LinkPasswords:    linkPasswords(),
		Receipts:         receipts(),
	}
}

// draw is n bytes that stand for random ones under a name.
func draw(name string, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("wattveil1 wire vectors "+name), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// The meter that most vectors are about.
const utility = 7

func secret() []byte { return draw("S_SM-UC", 16) }
func meterID() uint64 {
	return binary.BigEndian.Uint64(draw("ID_SM", 8))
}

func pseudonym() uint64 {
	return binary.BigEndian.Uint64(draw("an-ID", 8))
}

// flip gives a copy with one bit turned. A negative place counts from the end.
func flip(b []byte, at int, bit byte) []byte {
	if at < 0 {
		at += len(b)
	}
	return set(b, at, b[at]^bit)
}

// set gives a copy with other bytes at a place.
func set(b []byte, at int, with ...byte) []byte {
	out := append([]byte(nil), b...)
	copy(out[at:], with)
	return out
}

// join gives a new slice of both.
func join(a []byte, b ...byte) []byte { return append(append([]byte(nil), a...), b...) }

func hexes(list [][]byte) []vectors.Hex {
	out := make([]vectors.Hex, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}
