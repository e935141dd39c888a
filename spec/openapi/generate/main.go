// Command generate writes the descriptions of the operators' APIs into the
// current folder. Run it with "go generate" in spec/openapi.
package main

import (
	"fmt"
	"os"

	collector "github.com/wattveil/wattveil/collector/api"
	ttp "github.com/wattveil/wattveil/ttp/api"
	utility "github.com/wattveil/wattveil/utility/api"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes the files into dir.
func run(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, document := range map[string]func() ([]byte, error){"utility.json": utility.Document, "ttp.json": ttp.Document, "collector.json": collector.Document} {
		b, err := document()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := root.WriteFile(name, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
