package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
)

// report is what `wattveil bill verify` found, in the order in which it looked.
type report struct {
	bill        bill.Verified
	rows        []reportRow
	differences []check.Difference
	days        []check.Day
}

// reportRow is one check.
type reportRow struct {
	state string // stateOK, stateFailed or stateSkipped
	class bill.Class
	text  string
}

const (
	stateOK      = "ok"
	stateFailed  = "FAILED"
	stateSkipped = "not checked"
)

func (r *report) ok(what, text string) {
	r.rows = append(r.rows, reportRow{state: stateOK, text: what + ": " + text})
}

func (r *report) skip(what, text string) {
	r.rows = append(r.rows, reportRow{state: stateSkipped, text: what + ": " + text})
}

func (r *report) fail(class bill.Class, format string, args ...any) {
	r.rows = append(r.rows, reportRow{state: stateFailed, class: class, text: fmt.Sprintf(format, args...)})
}

// err is the first check that failed, and how many more did.
func (r *report) err() error {
	var failed []reportRow
	for _, row := range r.rows {
		if row.state == stateFailed {
			failed = append(failed, row)
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return bill.Refuse(failed[0].class, "%s", failed[0].text)
	default:
		return bill.Refuse(failed[0].class, "%s; and %d more", failed[0].text, len(failed)-1)
	}
}

func (r *report) writeText(w io.Writer) error {
	var s strings.Builder
	for _, row := range r.rows {
		text := row.text
		if row.state == stateFailed {
			text = string(row.class) + ": " + text
		}
		fmt.Fprintf(&s, "%-11s  %s\n", row.state, text)
	}
	s.WriteByte('\n')
	if err := r.bill.WriteText(&s); err != nil {
		return fmt.Errorf("print bill: %w", err)
	}
	if _, err := io.WriteString(w, s.String()); err != nil {
		return fmt.Errorf("print bill: %w", err)
	}
	return nil
}

// outcome is what the command prints with --json.
type outcome struct {
	OK          bool               `json:"ok"`
	Class       string             `json:"class,omitempty"` // of the first failure, spec/bill.md section 7
	Error       string             `json:"error,omitempty"`
	KeyID       string             `json:"key_id,omitempty"`
	Checked     []string           `json:"checked,omitempty"`
	Failed      []failure          `json:"failed,omitempty"`
	NotChecked  []string           `json:"not_checked,omitempty"`
	Differences []check.Difference `json:"differences,omitempty"`
	Days        []check.Day        `json:"days,omitempty"`
	Bill        *bill.Bill         `json:"bill,omitempty"`
}

type failure struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// outcome is the report of a bill that the TTP signed.
func (r *report) outcome() outcome {
	o := outcome{OK: true, KeyID: r.bill.KeyID, Bill: &r.bill.Bill, Differences: r.differences, Days: r.days}
	for _, row := range r.rows {
		switch row.state {
		case stateOK:
			o.Checked = append(o.Checked, row.text)
		case stateSkipped:
			o.NotChecked = append(o.NotChecked, row.text)
		default:
			o.Failed = append(o.Failed, failure{string(row.class), row.text})
		}
	}
	if err := r.err(); err != nil {
		o.OK, o.Error, o.Class = false, oneLine(err), o.Failed[0].Class
	}
	return o
}

// refused is the outcome of what is no bill of the TTP's.
func refused(err error) outcome {
	o := outcome{Error: oneLine(err)}
	var class bill.Class
	if errors.As(err, &class) {
		o.Class = string(class)
	}
	return o
}
