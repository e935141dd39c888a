package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/transparency"
)

// The pinned keys, in the folder wattveil of the user's configuration.
const (
	pinFolder  = "wattveil"
	pinnedKeys = "bill-keys.json"
	pinnedLog  = "bill-log.json"
)

// pinBill is the command `wattveil bill pin`.
type pinBill struct {
	keyFile, logFile string
	replace          bool
}

func newBillPin() *cobra.Command {
	var p pinBill
	cmd := &cobra.Command{
		Use:   "pin --key JWKS --log FILE",
		Short: "Keep the keys that bills are verified with",
		Long: `Keep the keys that bills are verified with, for this user of this machine, so
that bill verify needs no --key and --log.

--key names the file with the TTP's public keys (a JWKS), --log the file with
the keys of its log: a JSON object of origin, log and witness, the last of which
is the utility's. Take them from the TTP's and the utility's own pages, not from
whoever gave you a bill, and compare the key ids with what they print on paper.

Keys that are pinned already are not replaced by others without --replace. A
JWKS that has all pinned keys and new ones is taken: TTPs renew their keys.`,
		Example: `  wattveil bill pin --key ttp-keys.json --log ttp-log.json
  wattveil bill pin --key ttp-keys-2027.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&p.keyFile, "key", "", "file with the TTP's public `JWKS`")
	cmd.Flags().StringVar(&p.logFile, "log", "", "`file` with the keys of the TTP's log")
	cmd.Flags().BoolVar(&p.replace, "replace", false, "replace other keys that are pinned")
	return cmd
}

func (p pinBill) run(stdin io.Reader, stdout io.Writer) error {
	if p.keyFile == "" && p.logFile == "" {
		return misuse("nothing to pin: give the TTP's keys with --key, and the keys of its log with --log")
	}
	dir, err := pinDir()
	if err != nil {
		return err
	}
	if p.keyFile != "" {
		if err := p.pinKeys(stdin, stdout, filepath.Join(dir, pinnedKeys)); err != nil {
			return err
		}
	}
	if p.logFile != "" {
		return p.pinLog(stdin, stdout, filepath.Join(dir, pinnedLog))
	}
	return nil
}

func pinDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the user's folder for configuration is not known: %w", err)
	}
	return filepath.Join(dir, pinFolder), nil
}

func (p pinBill) pinKeys(stdin io.Reader, stdout io.Writer, path string) error {
	keys, err := readKeys(stdin, p.keyFile)
	if err != nil {
		return err
	}
	pinned, err := readKeys(nil, path)
	if err != nil && !errors.Is(err, errNoFile) {
		return err
	}
	if !p.replace && !keys.Has(pinned) {
		return fmt.Errorf("%s lacks keys that are pinned in %s: if the TTP has told you so itself, say --replace", p.keyFile, path)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	if err := writePin(path, text); err != nil {
		return err
	}
	for _, id := range keys.IDs() {
		if _, err := fmt.Fprintf(stdout, "pinned key %s\n", id); err != nil {
			return err
		}
	}
	return nil
}

func (p pinBill) pinLog(stdin io.Reader, stdout io.Writer, path string) error {
	keys, err := readLogKeys(stdin, p.logFile)
	if err != nil {
		return err
	}
	pinned, err := readLogKeys(nil, path)
	if err != nil && !errors.Is(err, errNoFile) {
		return err
	}
	if !p.replace && err == nil && pinned != keys {
		return fmt.Errorf("%s has other keys than are pinned in %s: if the TTP and the utility have told you so themselves, say --replace", p.logFile, path)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	if err := writePin(path, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "pinned log %s\n  %s\n  %s\n", keys.Origin, keys.Log, keys.Witness)
	return err
}

func writePin(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("pin keys: %w", err)
	}
	if err := folder.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("pin keys: %w", err)
	}
	return nil
}

// errNoFile: there is no such file, which for pinned keys is no fault.
var errNoFile = errors.New("there is no file")

// readKeys reads the TTP's keys.
func readKeys(stdin io.Reader, file string) (bill.KeySet, error) {
	data, err := readKeyFile(stdin, file)
	if err != nil {
		return bill.KeySet{}, fmt.Errorf("read keys: %w", err)
	}
	keys, err := bill.ParseKeySet(data)
	if err != nil {
		return bill.KeySet{}, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

// readLogKeys reads the keys of the log.
func readLogKeys(stdin io.Reader, file string) (transparency.Keys, error) {
	data, err := readKeyFile(stdin, file)
	if err != nil {
		return transparency.Keys{}, fmt.Errorf("read keys of the log: %w", err)
	}
	keys, err := transparency.ParseKeys(bytes.TrimSpace(data))
	if err != nil {
		return transparency.Keys{}, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

func readKeyFile(stdin io.Reader, file string) ([]byte, error) {
	if file != "-" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w %s", errNoFile, file)
		}
	}
	return readInput(stdin, file)
}
