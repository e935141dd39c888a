package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/field"
	vectors "github.com/wattveil/wattveil/vectors/bill"
)

func TestMain(m *testing.M) {
	testscript.Main(field.Tidy{Tests: m}, map[string]func(){"wattveil": main, "jsonget": jsonget})
}

// The scripts drive the binary. They find the published bills in the folder
// bills, one file each, documents in documents, and the key sets in keysets. In
// home are readings of a meter, with bills that are made from them.
//
// Beside the usual commands they have two of their own:
//
//	refuses MESSAGE ARG...   wattveil ARG... fails with this one line and prints nothing
//	misuses MESSAGE ARG...   the same, for a command line that is wrong by itself
//	exec jsonget FILE PATH   prints a member of a JSON file, such as bills.0.total
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return writeVectors(env.WorkDir) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refuses": fails(exitFailed), "misuses": fails(exitMisuse),
		},
	})
}

// fails is a script's command for a failure with an exit code.
func fails(code int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: refuses|misuses MESSAGE ARG...")
		}
		err := ts.Exec("wattveil", args[1:]...)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != code {
			ts.Fatalf("%v, want exit status %d: %s", err, code, ts.ReadFile("stderr"))
		}
		failedWith(ts, args)
	}
}

func failedWith(ts *testscript.TestScript, args []string) {
	want := "wattveil: " + strings.ReplaceAll(args[0], "$WORK", ts.Getenv("WORK")) + "\n"
	if got := ts.ReadFile("stderr"); got != want {
		ts.Fatalf("it says\n\t%swant\n\t%s", got, want)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("it prints %q", out)
	}
}

// jsonget prints a member of a JSON file: a string as it is, all else as JSON.
func jsonget() {
	content, err := os.ReadFile(os.Args[1])
	if err == nil {
		for _, name := range strings.Split(os.Args[2], ".") {
			if content, err = member(content, name); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "jsonget:", err)
		os.Exit(1)
	}
	var text string
	if json.Unmarshal(content, &text) != nil {
		var compact bytes.Buffer
		_ = json.Compact(&compact, content) // has been read as JSON
		text = compact.String()
	}
	fmt.Println(text)
}

// member is a member of a JSON object, or an element of a list, by its name or
// place.
func member(content []byte, name string) ([]byte, error) {
	if i, err := strconv.Atoi(name); err == nil {
		var list []json.RawMessage
		if err := json.Unmarshal(content, &list); err != nil {
			return nil, err
		}
		if i >= len(list) {
			return nil, fmt.Errorf("no element %d of %d", i, len(list))
		}
		return list[i], nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil {
		return nil, err
	}
	if object[name] == nil {
		return nil, fmt.Errorf("no member %q", name)
	}
	return object[name], nil
}

func writeVectors(dir string) error {
	v, err := vectors.Load()
	if err != nil {
		return err
	}
	files := map[string]string{"keys.json": string(v.Keys), "log.json": string(v.LogKeys)}
	made, err := homeFiles()
	if err != nil {
		return err
	}
	for name, text := range made {
		files[filepath.Join("home", name)] = text
	}
	for _, d := range v.Documents {
		files[filepath.Join("documents", d.Name+".json")] = d.Text
		if d.Seen != "" {
			files[filepath.Join("documents", d.Name+".seen")] = d.Seen
		}
	}
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
// whose it is, and that what begins like JSON is taken for a document.
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
		good, class := b.Class == "" || b.Class == "subject", b.Class
		if strings.HasPrefix(b.JWS, "{") {
			class = "document"
		}
		var stdout, stderr strings.Builder
		root := newRoot()
		root.SetOut(&stdout)
		code := run(root, []string{"bill", "verify", "--key", filepath.Join(dir, "keys.json"), filepath.Join(dir, "bills", b.Name+".jws")}, &stderr)
		switch {
		case good && (code != 0 || stderr.String() != "" || !strings.Contains(stdout.String(), "total")):
			t.Errorf("%s: exit code %d, %s", b.Name, code, stderr.String())
		case !good && (code != 1 || stdout.String() != "" || strings.Count(stderr.String(), "\n") != 1 ||
			!strings.Contains(stderr.String(), "("+class+")")):
			t.Errorf("%s: exit code %d, %q, want one line with class %q", b.Name, code, stderr.String(), class)
		}
	}
}

// The command agrees with every document of the vectors, at the same class.
func TestVerifyAgreesWithTheDocuments(t *testing.T) {
	dir := t.TempDir()
	if err := writeVectors(dir); err != nil {
		t.Fatal(err)
	}
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, d := range v.Documents {
		args := []string{"bill", "verify", "--key", filepath.Join(dir, "keys.json"), "--log", filepath.Join(dir, "log.json")}
		if d.Seen != "" {
			args = append(args, "--older-checkpoint", filepath.Join(dir, "documents", d.Name+".seen"))
		}
		var stdout, stderr strings.Builder
		root := newRoot()
		root.SetOut(&stdout)
		code := run(root, append(args, filepath.Join(dir, "documents", d.Name+".json")), &stderr)
		shown[d.Class] = true
		switch {
		case d.Class == "" && (code != 0 || stderr.String() != ""):
			t.Errorf("%s: exit code %d, %s", d.Name, code, stderr.String())
		case d.Class != "" && (code != 1 || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "("+d.Class+")")):
			t.Errorf("%s: exit code %d, %q, want one line with class %q", d.Name, code, stderr.String(), d.Class)
		}
	}
	for _, class := range []string{"", "document", "signature", "subject", "checkpoint", "cosignature", "inclusion", "consistency"} {
		if !shown[class] {
			t.Errorf("no document of class %q", class)
		}
	}
}

// No character of a bill's document can be changed without the command saying
// so: in the bill, its salt, its proof, or a signature of the log.
func TestVerifyRefusesEveryChangedCharacter(t *testing.T) {
	dir := t.TempDir()
	if err := writeVectors(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "home", "march.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := verifyBill{
		keyFile: filepath.Join(dir, "keys.json"), logFile: filepath.Join(dir, "home", "log.json"),
		meter: "7/0123456789abcdef", period: "2018-03",
	}
	if err := v.run(bytes.NewReader(text), io.Discard, "-"); err != nil {
		t.Fatalf("the document as it is: %v", err)
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if err := v.run(bytes.NewReader(changed), io.Discard, "-"); err == nil || !strings.Contains(err.Error(), "bill refused (") {
			t.Errorf("character %d, behind %q: %v", i, text[max(0, i-10):i], err)
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
