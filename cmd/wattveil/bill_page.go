package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/bill/page"
)

// pageBill is the command `wattveil bill page`.
type pageBill struct {
	keyFile, logFile string
	pinned           bool
}

func newBillPage() *cobra.Command {
	var p pageBill
	cmd := &cobra.Command{
		Use:   "page [--key JWKS] [--log FILE]",
		Short: "Write a page that checks bills in a browser",
		Long: `Write a page that checks bills in a browser: one HTML file with everything in
it. It works from a disk and without a network, and makes no request. It takes a
bill, or its document, by paste, as a file, or after # in its address, where the
code of an invoice has it.

With --key and --log the page comes with these keys, as a TTP publishes one for
its consumers; with --pinned it comes with the keys that bill pin has kept.
Whoever opens it may put in others. Keys are never taken from a bill.

It checks what bill verify checks without readings: signature, form, sums, whose
bill it is, and the log.`,
		Example: `  wattveil bill page > verify.html
  wattveil bill page --key ttp-keys.json --log ttp-log.json > verify.html
  wattveil bill page --pinned > verify.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&p.keyFile, "key", "", "file with the TTP's public `JWKS`")
	cmd.Flags().StringVar(&p.logFile, "log", "", "`file` with the keys of the TTP's log")
	cmd.Flags().BoolVar(&p.pinned, "pinned", false, "take the keys that are pinned")
	return cmd
}

func (p pageBill) run(stdin io.Reader, stdout io.Writer) error {
	keys, err := p.keys(stdin)
	if err != nil {
		return err
	}
	html, err := page.HTML(keys)
	if err != nil {
		return err
	}
	if _, err := stdout.Write(html); err != nil {
		return fmt.Errorf("print page: %w", err)
	}
	return nil
}

// keys are checked here, so that no page comes with keys that it cannot use.
func (p pageBill) keys(stdin io.Reader) (page.Keys, error) {
	var keys page.Keys
	if p.pinned && (p.keyFile != "" || p.logFile != "") {
		return keys, misuse("--pinned takes the pinned keys: leave out --key and --log")
	}
	keyFile, logFile := p.keyFile, p.logFile
	if p.pinned {
		dir, err := pinDir()
		if err != nil {
			return keys, err
		}
		keyFile, logFile = filepath.Join(dir, pinnedKeys), filepath.Join(dir, pinnedLog)
	}
	if keyFile != "" {
		set, err := readKeys(stdin, keyFile)
		if err != nil {
			return keys, err
		}
		text, err := json.Marshal(set)
		if err != nil {
			return keys, err
		}
		keys.JWKS = string(text)
	}
	if logFile == "" {
		return keys, nil
	}
	log, err := readLogKeys(stdin, logFile)
	if p.pinned && errors.Is(err, errNoFile) {
		return keys, nil
	}
	if err != nil {
		return keys, err
	}
	text, err := json.Marshal(log)
	keys.Log = string(text)
	return keys, err
}
