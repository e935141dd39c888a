package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
)

// verifyBill is the command `wattveil bill verify`.
type verifyBill struct {
	keyFile, logFile string
	seenFile         string
	meter, period    string
	others           []string
	tariffFile       string
	series           []string
	readings         []string
	secret           string
	json             bool
}

const verifyLong = `Check a bill that a TTP has signed, and print it.

FILE holds the bill as you got it: three parts of letters and digits between two
dots (a compact JWS), or the bill's document, which has its salt and the proof
that the TTP's log has it beside it. "-" reads it from standard input.

The keys are those that bill pin has kept. --key names a file with the TTP's
public keys (a JWKS) instead, and --log one with the keys of its log. Take them
from the TTP and the utility, not from whoever gave you the bill; keys that come
with a bill are never used.

Always checked: the signature, and all sums. The rest takes what you have:
  --meter UC/AN-ID        that the bill is this meter's
  --period 2018-03        that it is the bill of this month, or of a period
                          such as 2018-03-01/2018-03-15
  --other FILE            that no other bill stands in its place. Give also the
                          bills that it corrects or whose difference it counts,
                          and those of the months before that a ratchet of its
                          demand takes: as documents, whose proofs tell which
                          was made first
  --older-checkpoint FILE that the log continues the one that you saw before: a
                          checkpoint, a document of another bill, or a JSON
                          object of "checkpoint" and "consistency"
  --tariff FILE           that it is by this tariff
  --readings FILE         that the energy is what was measured, line by line: what
                          wattveil-meter export has written, or an export of the
                          portal's. Takes --tariff, and --series for prices by
                          the hour
  --secret FILE           that the TTP has made it from exactly these readings

What could not be checked is said. The exit code is 0 if everything that was
checked holds, and 1 if something does not.`

func newBillVerify() *cobra.Command {
	var v verifyBill
	cmd := &cobra.Command{
		Use:   "verify [--key JWKS] [--log FILE] FILE",
		Short: "Check a bill that a TTP has signed",
		Long:  verifyLong,
		Example: `  wattveil bill verify march.json
  wattveil bill verify --key ttp-keys.json march.jws
  wattveil bill verify --meter 7/0123456789abcdef --period 2018-03 march.json
  wattveil-meter export --data /var/lib/wattveil-meter > readings.csv
  wattveil bill verify --tariff tou.json --readings readings.csv march.json
  wattveil bill verify --tariff kw.json --readings readings.csv --other january.json --other february.json march.json`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd.InOrStdin(), cmd.OutOrStdout(), args[0])
		},
	}
	v.flags(cmd.Flags())
	return cmd
}

func (v *verifyBill) flags(f *pflag.FlagSet) {
	f.StringVar(&v.keyFile, "key", "", "file with the TTP's public `JWKS` (default: what is pinned)")
	f.StringVar(&v.logFile, "log", "", "`file` with the keys of the TTP's log (default: what is pinned)")
	f.StringVar(&v.meter, "meter", "", "the meter's utility number and pseudonym, as `UC/AN-ID`")
	f.StringVar(&v.period, "period", "", "`month` or period that the bill is to be of")
	f.StringArrayVar(&v.others, "other", nil, "`file` with another bill of the meter; may be repeated")
	f.StringVar(&v.seenFile, "older-checkpoint", "", "`file` with a checkpoint of the log that was seen before")
	f.StringVar(&v.tariffFile, "tariff", "", "`file` with the tariff")
	f.StringSliceVar(&v.series, "series", nil, "`files` with price series")
	f.StringArrayVar(&v.readings, "readings", nil, "`file` with the meter's readings; once for each meter if one was replaced")
	f.StringVar(&v.secret, "secret", "", "`file` with the bill's secret")
	f.BoolVar(&v.json, "json", false, "print the outcome as JSON")
}

func (v verifyBill) run(stdin io.Reader, stdout io.Writer, file string) error {
	r, err := v.verify(stdin, file)
	switch {
	case err != nil && v.json:
		return errors.Join(encodeJSON(stdout, refused(err)), err)
	case err != nil:
		return err
	case v.json:
		err = encodeJSON(stdout, r.outcome())
	default:
		err = r.writeText(stdout)
	}
	if err != nil {
		return err
	}
	if err := r.err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// verify makes all checks. It fails if the bill is not what the TTP signed, or
// something that is given beside it cannot be used; what does not hold of a
// bill that the TTP signed is in the report.
func (v verifyBill) verify(stdin io.Reader, file string) (*report, error) {
	if err := v.oneStdin(file); err != nil {
		return nil, err
	}
	keys, err := v.keys(stdin)
	if err != nil {
		return nil, err
	}
	shown, err := readShown(stdin, file, keys.bills)
	if err != nil {
		return nil, err
	}
	r := &report{bill: shown.Verified}
	r.ok("signature", "EdDSA, by key "+shown.KeyID)
	r.ok("format", fmt.Sprintf("canonical, version %d", bill.Version))
	r.ok("sums", "each amount, the tax, the total and the energies")
	beside := besideBill{verifyBill: v, stdin: stdin, shown: shown, keys: keys, report: r}
	for _, step := range []func() error{beside.subject, beside.log, beside.period, beside.others, beside.tariff, beside.readings} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// oneStdin refuses that two files come from standard input.
func (v verifyBill) oneStdin(file string) error {
	if v.keyFile == "-" && file == "-" {
		return misuse("both the keys and the bill are to come from standard input: give a file for one of them")
	}
	n := 0
	for _, name := range slices.Concat([]string{file, v.keyFile, v.logFile, v.seenFile, v.tariffFile, v.secret}, v.others, v.series, v.readings) {
		if name == "-" {
			n++
		}
	}
	if n > 1 {
		return misuse("several files are to come from standard input: give files for all but one of them")
	}
	return nil
}

// verifierKeys are what bills are verified with.
type verifierKeys struct {
	bills bill.KeySet
	log   *transparency.Keys // nil if they are not known
}

// keys are those of the flags, else those that are pinned.
func (v verifyBill) keys(stdin io.Reader) (k verifierKeys, err error) {
	keyFile, logFile := v.keyFile, v.logFile
	pinned := keyFile == ""
	if pinned {
		dir, err := pinDir()
		if err != nil {
			return k, fmt.Errorf("--key is missing, and %w", err)
		}
		keyFile = filepath.Join(dir, pinnedKeys)
		if logFile == "" {
			logFile = filepath.Join(dir, pinnedLog)
		}
	}
	k.bills, err = readKeys(stdin, keyFile)
	if pinned && errors.Is(err, errNoFile) {
		return k, misuse("no keys are pinned: get the TTP's public keys (a JWKS) from the TTP and keep them with wattveil bill pin --key JWKS, or give the file with --key")
	}
	if err != nil || logFile == "" {
		return k, err
	}
	keys, err := readLogKeys(stdin, logFile)
	if pinned && v.logFile == "" && errors.Is(err, errNoFile) {
		return k, nil
	}
	k.log = &keys
	return k, err
}

// shownBill is a bill that the TTP signed, and what came beside it.
type shownBill struct {
	bill.Verified
	file     string
	jws      string
	document *bill.Document // nil for a bare bill
}

// readShown reads a bill or its document and verifies the bill.
func readShown(stdin io.Reader, file string, keys bill.KeySet) (shownBill, error) {
	s := shownBill{file: file}
	data, err := readInput(stdin, file)
	if err != nil {
		return s, fmt.Errorf("read bill: %w", err)
	}
	if bytes.HasPrefix(data, []byte("%PDF-")) {
		return s, fmt.Errorf("%s: this is a PDF; the signed bill is a file in it, bill.json: take it out with pdfdetach -saveall, or take the bill's file from the portal", file)
	}
	if bill.IsDocument(data) {
		d, err := bill.ParseDocument(data)
		if err != nil {
			return s, fmt.Errorf("%s: %w", file, err)
		}
		s.document, s.jws = &d, d.JWS
	} else {
		s.jws = strings.TrimRight(string(data), "\r\n")
	}
	if s.jws == "" {
		return s, fmt.Errorf("%s: %w", file, bill.Refuse(bill.ErrJWS, "it is empty"))
	}
	if s.Verified, err = bill.Verify(s.jws, keys); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// salt is that of the document.
func (s shownBill) salt() (bill.Salt, error) { return bill.ParseSalt(s.document.Salt) }

// times are the ends of the period.
func (s shownBill) times() (from, to time.Time, err error) {
	if from, err = time.Parse(time.RFC3339, s.From); err != nil {
		return from, to, err
	}
	to, err = time.Parse(time.RFC3339, s.To)
	return from, to, err
}

// wantedPeriod reads --period in the bill's time zone.
func wantedPeriod(text, timezone string) (from, to time.Time, err error) {
	zone, err := tariff.LoadZone(timezone)
	if err != nil {
		return from, to, err
	}
	if month, err := time.ParseInLocation("2006-01", text, zone); err == nil {
		return month, month.AddDate(0, 1, 0), nil
	}
	first, last, _ := strings.Cut(text, "/")
	from, errFrom := time.ParseInLocation(time.DateOnly, first, zone)
	to, errTo := time.ParseInLocation(time.DateOnly, last, zone)
	if errors.Join(errFrom, errTo) != nil || !from.Before(to) {
		return from, to, misusef("--period %q: want a month such as 2018-03, or a period such as 2018-03-01/2018-03-15, whose last day is not in it", text)
	}
	return from, to, nil
}

// meterNamed is the meter of --meter, and of the document.
func (b besideBill) meterNamed() (flag, document *wattveil.Meter, err error) {
	parse := func(where, text string) (*wattveil.Meter, error) {
		if text == "" {
			return nil, nil
		}
		m, err := wattveil.ParseMeter(text)
		if err != nil {
			return nil, misusef("%s: %v", where, err)
		}
		return &m, nil
	}
	if flag, err = parse("--meter", b.meter); err != nil || b.shown.document == nil {
		return flag, nil, err
	}
	document, err = parse(b.shown.file, b.shown.document.Meter)
	return flag, document, err
}
