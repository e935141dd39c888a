package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/field"
	"github.com/wattveil/wattveil/utility/api"
)

// scriptTime is far more than the script takes on a busy machine.
const scriptTime = 5 * time.Minute

// readmeScript is the script of the README's section "Three parties".
func readmeScript(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(readme), "```bash three-parties\n")
	script, _, closed := strings.Cut(after, "\n```")
	if !found || !closed {
		t.Fatal("README.md has no block ```bash three-parties")
	}
	return script + "\n"
}

// parties are the script's folders, and the user of each when there are several.
func parties() map[string]uint32 {
	return map[string]uint32{"utility": 27001, "ttp": 27002, "north": 27003, "south": 27004, "meters": 27005}
}

// runScript runs the README's script on free ports in a new folder. With users,
// each party is a user of its own.
func runScript(t *testing.T, users bool) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wattveil-parties-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	script := readmeScript(t)
	ports := field.FreePorts(t, 4)
	for i, port := range []string{"8450", "8440", "1883", "1884"} {
		script = strings.ReplaceAll(script, ":"+port, ":"+ports[i])
	}
	path := field.Binaries(t)
	if users {
		if err := os.Chmod(dir, 0o1777); err != nil {
			t.Fatal(err)
		}
		path = userWrappers(t, dir, path)
		script = strings.Replace(script, "hand() { :; }", `hand() { chown "$(user "$2")" "$1"; }`, 1)
		script = userFunction() + script
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "WATTVEIL_") }),
		"PATH="+path+":"+os.Getenv("PATH"), "WATTVEIL_UTILITY_METRICS=", "WATTVEIL_TTP_METRICS=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its trap ends the parties
	cmd.WaitDelay = time.Minute
	timer := time.AfterFunc(scriptTime, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		text := out.String()
		t.Fatalf("%v; the end of its output:\n%s", err, text[max(0, len(text)-6000):])
	}
	return dir
}

// userFunction tells the script which user a party is.
func userFunction() string {
	var b strings.Builder
	b.WriteString("user() { case $1 in\n")
	for name, uid := range parties() {
		fmt.Fprintf(&b, "%s) echo %d ;;\n", name, uid)
	}
	b.WriteString("esac; }\n")
	return b.String()
}

// userWrappers makes commands that run as the user of the party in --dir or
// --data.
func userWrappers(t *testing.T, dir, bin string) string {
	t.Helper()
	wrappers := filepath.Join(dir, ".bin")
	if err := os.Mkdir(wrappers, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{field.Servers, field.Meter} {
		text := "#!/bin/bash\n" + userFunction() +
			`for ((i = 1; i < $#; i++)); do case ${!i} in --dir | --data) j=$((i + 1)); party=${!j} ;; esac; done` + "\n" +
			`u=$(user "$party"); exec setpriv --reuid "$u" --regid "$u" --clear-groups ` + filepath.Join(bin, name) + ` "$@"` + "\n"
		if err := os.WriteFile(filepath.Join(wrappers, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return wrappers
}

// checkBills looks at what the billing run wrote.
func checkBills(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "bills.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	meters := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		var b api.MeterBill
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			t.Fatal(err)
		}
		if b.Class != "" || b.Document == nil || b.JWS == "" || b.Document.Issuer != "example-trust" {
			t.Errorf("meter %s has no verified bill: %s", b.Meter, b.Reason)
		}
		meters[b.Meter] = true
	}
	if len(meters) != 20 {
		t.Errorf("bills of %d meters, want 20", len(meters))
	}
	lines, err := os.ReadFile(filepath.Join(dir, "lines.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), ",total,"); n != 20 {
		t.Errorf("lines.csv has %d totals, want 20", n)
	}
}

func needBash(t *testing.T) {
	t.Helper()
	for _, name := range []string{"bash", "setpriv", "date"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("the README's script needs %s: %v", name, err)
			}
			t.Skipf("the README's script needs %s: %v", name, err)
		}
	}
}

func TestThreeParties(t *testing.T) {
	needBash(t)
	users := os.Geteuid() == 0
	dir := runScript(t, users)
	checkBills(t, dir)
	checkPrivate(t, dir)
	if users {
		checkStrangers(t, dir)
	}
}

// checkPrivate holds all folders to their modes: nobody but the owner enters.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	for name := range parties() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("folder %s has mode %o, want 700", name, info.Mode().Perm())
		}
	}
}

// checkStrangers has each party try to read every file of every other one.
func checkStrangers(t *testing.T, dir string) {
	t.Helper()
	for owner, uid := range parties() {
		var files []string
		err := filepath.WalkDir(filepath.Join(dir, owner), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != uid {
				t.Errorf("%s is not of user %d", path, uid)
			}
			files = append(files, path)
			return err
		})
		if err != nil || len(files) == 0 {
			t.Fatalf("files of %s: %d, %v", owner, len(files), err)
		}
		for other, as := range parties() {
			if other == owner {
				continue
			}
			args := append([]string{"--reuid", fmt.Sprint(as), "--regid", fmt.Sprint(as), "--clear-groups", "head", "-qc1"}, files...)
			if out, _ := exec.CommandContext(t.Context(), "setpriv", args...).Output(); len(out) > 0 {
				t.Errorf("%s can read %d files of %s", other, len(out), owner)
			}
		}
	}
}
