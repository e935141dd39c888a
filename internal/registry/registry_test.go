package registry_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/wattveil/wattveil/internal/registry"
)

const first = `-- +goose Up
CREATE TABLE parents (id INTEGER PRIMARY KEY);
CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id));
-- +goose Down
DROP TABLE children;
DROP TABLE parents;
`

const second = `-- +goose Up
ALTER TABLE children ADD COLUMN name TEXT NOT NULL DEFAULT 'none';
-- +goose Down
ALTER TABLE children DROP COLUMN name;
`

// migrations is a folder of one file for each text, in order.
func migrations(texts ...string) fs.FS {
	dir := make(fstest.MapFS)
	for i, text := range texts {
		dir[fmt.Sprintf("%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

func open(t *testing.T, path string, m fs.FS) *sql.DB {
	t.Helper()
	db, err := registry.Open(t.Context(), path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// What was deleted, and what was there before an update, is in none of the
// files any more once it is erased, while the database is open.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.db")
	db := open(t, path, migrations(first, second))
	planted := func() (files []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(content), "planted") {
				files = append(files, e.Name())
			}
		}
		return files
	}
	exec(t, db, `INSERT INTO parents (id) VALUES (1)`)
	for i := range 100 {
		exec(t, db, `INSERT INTO children (id, parent, name) VALUES (?, 1, ?)`, i, "planted "+strings.Repeat("x", 300))
	}
	if err := registry.Erase(t.Context(), db); err != nil || len(planted()) != 1 {
		t.Fatalf("in %v, %v; want it in the database alone", planted(), err)
	}
	exec(t, db, `UPDATE children SET name = '' WHERE id < 50`)
	exec(t, db, `DELETE FROM children WHERE id >= 50`)
	if err := registry.Erase(t.Context(), db); err != nil || len(planted()) != 0 {
		t.Errorf("still in %v, %v", planted(), err)
	}
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOpenKeepsAndMigrates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "party.db")
	db := open(t, path, migrations(first))
	exec(t, db, `INSERT INTO parents VALUES (1)`)
	exec(t, db, `INSERT INTO children VALUES (10, 1)`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		db = open(t, path, migrations(first, second))
		var name string
		if err := db.QueryRowContext(t.Context(), `SELECT name FROM children WHERE id = 10`).Scan(&name); err != nil || name != "none" {
			t.Fatalf("after the second migration the row's name is %q, %v", name, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenTakesAnyPath holds a folder's name apart from the options that the
// driver reads behind it.
func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{"plain", "two words", "why?_pragma=foreign_keys(0)", "half#full", "100%41", "a&b=c", "Zähler"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "party.db")
			db := open(t, path, migrations(first))
			exec(t, db, `INSERT INTO parents VALUES (1)`)
			if _, err := os.Stat(path); err != nil {
				t.Error("the database is not where it was asked for:", err)
			}
		})
	}
}

// TestOptions reads back from the engine what makes commits durable.
func TestOptions(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "party.db"), migrations(first))
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO children VALUES (10, 404)`); err == nil {
		t.Error("a child without a parent is taken")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path string
		m    fs.FS
	}{
		"broken migration": {filepath.Join(dir, "broken.db"), migrations(first, "-- +goose Up\nCREATE TALBE x (id);\n")},
		"no migrations":    {filepath.Join(dir, "none.db"), fstest.MapFS{}},
		"not a database":   {file, migrations(first)},
		"no such folder":   {filepath.Join(dir, "missing", "party.db"), migrations(first)},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := registry.Open(t.Context(), test.path, test.m)
			if err == nil {
				_ = db.Close()
				t.Fatal("it opens")
			}
			if db != nil || !strings.Contains(err.Error(), test.path) {
				t.Errorf("%v, error %q; want none, and an error that names the file", db, err)
			}
		})
	}
}

// A migration that fails leaves what the ones before it made.
func TestFailedMigrationLeavesTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "party.db")
	broken := "-- +goose Up\nCREATE TABLE extra (id INTEGER);\nINSERT INTO nowhere VALUES (1);\n"
	if _, err := registry.Open(t.Context(), path, migrations(first, broken)); err == nil {
		t.Fatal("a broken migration passes")
	}
	db := open(t, path, migrations(first, second))
	if n := count(t, db, "sqlite_master WHERE name = 'extra'"); n != 0 {
		t.Error("a table of the failed migration is there")
	}
	if n := count(t, db, "pragma_table_info('children') WHERE name = 'name'"); n != 1 {
		t.Error("the mended migration did not run")
	}
}

func TestTx(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "party.db"), migrations(first))
	cause := errors.New("cause")
	insert := func(tx *sql.Tx, id int) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO parents VALUES (?)`, id)
		return err
	}

	if err := registry.Tx(t.Context(), db, func(tx *sql.Tx) error { return insert(tx, 1) }); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "parents"); n != 1 {
		t.Errorf("%d rows after a commit, want 1", n)
	}

	err := registry.Tx(t.Context(), db, func(tx *sql.Tx) error { return errors.Join(insert(tx, 2), cause) })
	if !errors.Is(err, cause) {
		t.Errorf("Tx returns %v, want what its function returned", err)
	}
	if n := count(t, db, "parents"); n != 1 {
		t.Errorf("%d rows after a failure, want 1", n)
	}

	err = registry.Tx(t.Context(), db, func(tx *sql.Tx) error { return errors.Join(tx.Rollback(), cause) })
	if !errors.Is(err, cause) || errors.Is(err, sql.ErrTxDone) {
		t.Errorf("after its function rolled back Tx returns %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	if err := registry.Tx(ctx, db, func(*sql.Tx) error { ran = true; return nil }); !errors.Is(err, context.Canceled) || ran {
		t.Errorf("in a context that is over Tx returns %v, ran: %v", err, ran)
	}
}

// A panic must not keep the database locked for everybody else.
func TestTxRollsBackOnPanic(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "party.db"), migrations(first))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = registry.Tx(t.Context(), db, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO parents VALUES (1)`); err != nil {
				t.Error(err)
			}
			panic("mistake")
		})
	}()
	if open := db.Stats().InUse; open != 0 {
		t.Fatalf("%d connections are still in use", open)
	}
	if n := count(t, db, "parents"); n != 0 {
		t.Errorf("%d rows after a panic, want 0", n)
	}
}

// TestTxWaitsItsTurn reads and then writes in many transactions at once. A
// transaction that took the lock only when it writes would lose others' rows
// or fail.
func TestTxWaitsItsTurn(t *testing.T) {
	const workers, steps = 8, 25
	db := open(t, filepath.Join(t.TempDir(), "party.db"), migrations(first))
	exec(t, db, `INSERT INTO parents VALUES (0)`)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range steps {
				err := registry.Tx(t.Context(), db, func(tx *sql.Tx) error {
					var last int
					if err := tx.QueryRowContext(t.Context(), `SELECT max(id) FROM parents`).Scan(&last); err != nil {
						return err
					}
					_, err := tx.ExecContext(t.Context(), `INSERT INTO parents VALUES (?)`, last+1)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, db, "parents"); n != 1+workers*steps {
		t.Errorf("%d rows, want %d", n, 1+workers*steps)
	}
}

func TestFind(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "party.db"), migrations(first))
	exec(t, db, `INSERT INTO parents VALUES (7)`)
	row := func(query string, args ...any) *sql.Row { return db.QueryRowContext(t.Context(), query, args...) }
	var id int
	if found, err := registry.Find(row(`SELECT id FROM parents WHERE id = ?`, 7), &id); !found || err != nil || id != 7 {
		t.Errorf("Find of a row: %v, %v, %d", found, err, id)
	}
	if found, err := registry.Find(row(`SELECT id FROM parents WHERE id = ?`, 8), &id); found || err != nil || id != 7 {
		t.Errorf("Find of no row: %v, %v, %d", found, err, id)
	}
	if found, err := registry.Find(row(`SELECT id FROM nowhere`), &id); found || err == nil {
		t.Errorf("Find in a table that is missing: %v, %v", found, err)
	}
}
