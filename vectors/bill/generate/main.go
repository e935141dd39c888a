// Command generate writes the vectors of spec/bill.md into the current folder.
// It shares no code with package bill: it assembles every bill as a string,
// computes amounts with rational numbers and signs with crypto/ed25519. Each
// run writes the same bytes. Run it with "go generate" in vectors/bill.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
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
	k := testKey()
	bills, err := indented(slices.Concat(goodBills(k), badBills(k), goodComponents(k), badComponents(k)))
	if err != nil {
		return err
	}
	sets, err := indented(keySets(k))
	if err != nil {
		return err
	}
	trees, err := indented(roots())
	if err != nil {
		return err
	}
	docs, err := indented(documents())
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"keys.json":      []byte(k.jwks() + "\n"),
		"bills.json":     bills,
		"keysets.json":   sets,
		"roots.json":     trees,
		"documents.json": docs,
		"log.json":       []byte(logKeys() + "\n"),
	} {
		if err := root.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func indented[T any](list []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(list)
	return b.Bytes(), err
}
