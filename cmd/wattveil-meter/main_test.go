package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wattveil-meter": main})
}

// The scripts drive the binary against a utility and a TTP of this process.
// They find one.json and three.json, provisioning files of meters of their
// own. Besides the usual commands they have
//
//	arrived FILE N    wait until the TTP has N readings of each meter of a file
//	matches FILE CSV  an export and what the TTP has show the same energy
//	running DIR       wait until the meters of a data folder answer
func TestScripts(t *testing.T) {
	p := newPlatform(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for name, n := range map[string]int{"one.json": 1, "three.json": 3} {
				content, err := p.provision(n)
				if err != nil {
					return err
				}
				if err := writeSecret(filepath.Join(env.WorkDir, name), content); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"arrived": func(ts *testscript.TestScript, _ bool, args []string) {
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				ts.Check(p.have(ts.MkAbs(args[0]), n))
			},
			"matches": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(p.matches(ts.MkAbs(args[0]), ts.ReadFile(args[1])))
			},
			"running": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(running(ts.MkAbs(args[0]))) },
		},
	})
}

// running waits until the meters of a data folder answer. A socket alone may be
// that of a process that is gone.
func running(dir string) error {
	for deadline := time.Now().Add(platformWaits); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := askStatus(context.Background(), dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no meter runs in %s", dir)
}

// matches holds an export of a file's only meter to what the TTP has: the
// registers differ by the bases, so the energy between two readings is equal.
func (p *platform) matches(file, export string) error {
	records, err := readRecords(file, 0)
	if err != nil {
		return err
	}
	f, err := p.stored(records[0].Meter)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(strings.NewReader(export)).ReadAll()
	if err != nil {
		return err
	}
	own := make(map[int64][]string)
	for _, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			return err
		}
		own[at.Unix()] = row
	}
	compared := 0
	for _, run := range f.Runs {
		for i := 1; i < len(run.Readings); i++ {
			before, r := run.Readings[i-1], run.Readings[i]
			row, ok := own[r.Time]
			if !ok {
				return fmt.Errorf("the export has no reading at %d", r.Time)
			}
			want := []string{fmt.Sprint(r.Time - before.Time), energy(r.Import.Since(before.Import)), energy(r.Export.Since(before.Export))}
			if got := row[3:6]; strings.Join(got, " ") != strings.Join(want, " ") {
				return fmt.Errorf("the export has %v at %d, the TTP %v", got, r.Time, want)
			}
			if row[1] == fmt.Sprint(uint64(r.Import)) {
				return fmt.Errorf("the TTP has the register that the display shows at %d", r.Time)
			}
			compared++
		}
	}
	if compared < 10 {
		return fmt.Errorf("%d readings compared", compared)
	}
	return nil
}

func energy(w wattveil.Wh) string { return strconv.FormatInt(int64(w), 10) }

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
func TestExportReportsFailedWrites(t *testing.T) {
	rows := newRows(fullDisk{})
	for n := range int64(10_000) {
		if rows.add(wattveil.Reading{Time: n}, true) != nil {
			break
		}
	}
	if rows.end() == nil {
		t.Error("no error")
	}
}

// fullDisk takes no byte.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

// A command line that is wrong by itself ends otherwise than what fails.
func TestExitCodes(t *testing.T) {
	for line, want := range map[string]int{
		"":                                       0,
		"--help":                                 0,
		"sing":                                   exitMisuse,
		"run --colour red":                       exitMisuse,
		"run":                                    exitMisuse,
		"run --provision x --data d --count":     exitMisuse,
		"run --provision x --data d --retry 1ms": exitMisuse,
		"status":                                 exitMisuse,
		"export --data d a b":                    exitMisuse,
		"run --provision none --data d":          exitFailed,
		"status --data none":                     exitFailed,
		"export --data none":                     exitFailed,
	} {
		root := newRoot()
		root.SetOut(io.Discard)
		var text strings.Builder
		if code := run(root, strings.Fields(line), &text); code != want || strings.Count(text.String(), "\n") != min(want, 1) {
			t.Errorf("wattveil-meter %s: exit code %d, %q; want %d", line, code, text.String(), want)
		}
	}
}

func TestOpenFiles(t *testing.T) {
	for _, c := range []struct {
		meters int
		limit  uint64
		fits   bool
	}{{1, 1024, true}, {480, 1024, true}, {481, 1024, false}, {10_000, 20_064, true}, {10_000, 20_000, false}} {
		if err := filesSuffice(c.meters, c.limit); (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "ulimit -n") {
			t.Errorf("%d meters with %d files: %v", c.meters, c.limit, err)
		}
	}
}
