// Command generate writes the vectors of spec/clpke.md into the current folder
// with the plain implementation. Every number comes from a fixed seed, so that
// each run writes the same bytes. Run it with "go generate" in vectors/clpke.
package main

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"

	plain "github.com/wattveil/wattveil/internal/plain/clpke"
	vectors "github.com/wattveil/wattveil/vectors/clpke"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes the files into dir.
func run(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := build().Files()
	if err != nil {
		return err
	}
	for name, b := range files {
		if err := root.WriteFile(name, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func build() *vectors.Vectors {
	k := keys()
	v := &vectors.Vectors{
		Points:     points(),
		Partials:   partials(k),
		Messages:   messages(k),
		Refusals:   refusals(k),
		Statements: statements(k),
		Roots:      roots(k),
	}
	for _, one := range k {
		v.Keys = append(v.Keys, one.vector())
	}
	return v
}

// seeded gives 32 bytes that depend on the name alone.
func seeded(name string) []byte {
	sum := sha256.Sum256([]byte("wattveil1 vectors clpke " + name))
	return sum[:]
}

// scalar gives a number from 1 to n-1 that depends on the name alone.
func scalar(name string) *big.Int {
	last := new(big.Int).Sub(plain.Order(), big.NewInt(1))
	k := new(big.Int).SetBytes(seeded(name))
	return k.Mod(k, last).Add(k, big.NewInt(1))
}

// offset gives n + i in 32 bytes.
func offset(n *big.Int, i int64) []byte {
	return plain.Scalar32(new(big.Int).Add(n, big.NewInt(i)))
}
