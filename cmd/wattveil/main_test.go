package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wattveil": main})
}

// The scripts drive the binary. They find the published bills in the folder
// bills, one file each, and the key sets in keysets.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return writeVectors(env.WorkDir) },
	})
}

func writeVectors(dir string) error {
	v, err := vectors.Load()
	if err != nil {
		return err
	}
	files := map[string]string{"keys.json": string(v.Keys)}
	for _, b := range v.Bills {
		files[filepath.Join("bills", b.Name+".jws")] = b.JWS
	}
	for _, k := range v.KeySets {
		files[filepath.Join("keysets", k.Name+".json")] = k.Text
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The command agrees with every vector, except that a bare bill does not say
// whose it is.
func TestVerifyAgreesWithTheVectors(t *testing.T) {
	dir := t.TempDir()
	if err := writeVectors(dir); err != nil {
		t.Fatal(err)
	}
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range v.Bills {
		good := b.Class == "" || b.Class == "subject"
		var stdout, stderr strings.Builder
		root := newRoot()
		root.SetOut(&stdout)
		code := run(root, []string{"bill", "verify", "--key", filepath.Join(dir, "keys.json"), filepath.Join(dir, "bills", b.Name+".jws")}, &stderr)
		switch {
		case good && (code != 0 || stderr.String() != "" || !strings.Contains(stdout.String(), "total")):
			t.Errorf("%s: exit code %d, %s", b.Name, code, stderr.String())
		case !good && (code != 1 || stdout.String() != "" || strings.Count(stderr.String(), "\n") != 1 ||
			!strings.Contains(stderr.String(), "("+b.Class+")")):
			t.Errorf("%s: exit code %d, %q, want one line with class %q", b.Name, code, stderr.String(), b.Class)
		}
	}
}

// Every command says what it does and, if it does something, shows how.
func TestEveryCommandIsDescribed(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short description", c.CommandPath())
		}
		if !c.HasSubCommands() && (c.Long == "" || c.Example == "") {
			t.Errorf("%s has no long description or no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

// A write that fails, such as to a full disk, is an error.
func TestVerifyReportsFailedWrites(t *testing.T) {
	dir := t.TempDir()
	if err := writeVectors(dir); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		v := verifyBill{keyFile: filepath.Join(dir, "keys.json"), json: asJSON}
		if err := v.run(strings.NewReader(""), fullDisk{}, filepath.Join(dir, "bills", "month.jws")); err == nil {
			t.Errorf("json %v: no error", asJSON)
		}
	}
}

// fullDisk takes no byte.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }
