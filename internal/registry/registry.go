// Package registry opens the SQLite database in which a party keeps its
// masters: meters, statements, sessions, tariffs and bills. Volumes of
// readings are in package readings.
package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const maxConnections = 8

// Open opens the database at path, makes it if it is missing, and brings its
// schema up to the last of the migrations. Commits are durable when they
// return.
func Open(ctx context.Context, path string, migrations fs.FS) (*sql.DB, error) {
	escaped := (&url.URL{Path: path}).EscapedPath() // a folder's name may hold ?, # or %
	dsn := url.URL{Scheme: "file", Opaque: escaped, RawQuery: url.Values{
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)", "secure_delete(1)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", path, err)
	}
	db.SetMaxOpenConns(maxConnections)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations, goose.WithLogger(goose.NopLogger()))
	if err == nil {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bring registry %s up to date: %w; if the file is damaged, restore it from a backup", path, err), db.Close())
	}
	return db, nil
}

// Erase has what was deleted or overwritten be gone from the files, too: the
// database's pages are zeroed with each deletion, and the log of what was before
// is cut. While somebody reads what was before, it does less; the next call
// does the rest.
func Erase(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("erase what was deleted: %w", err)
	}
	return nil
}

// Tx runs fn in a transaction and commits if it returns nil. An error or a
// panic of fn rolls back. The transaction holds the lock for writing from its
// start, so that what fn read is still so when it writes.
func Tx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Find runs a query for one row and tells whether there was one.
func Find(row *sql.Row, dst ...any) (bool, error) {
	err := row.Scan(dst...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
