// Package journal writes a server's log: structured lines on standard error,
// from which network addresses and whatever looks like a key are taken out.
//
// Types that hold secrets or readings redact themselves. This is the second
// line behind them, for texts that other packages put together: no party may
// log where a peer or a meter is (spec/protocol.md section 9).
package journal

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

// Options are how a log is written.
type Options struct {
	Format string // "text" or "json"
	Level  string // "debug", "info", "warn" or "error"
}

// New makes a log.
func New(w io.Writer, o Options) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", o.Level)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: replace}
	switch o.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", o.Format)
	}
}

// replace cleans every value that is text in the end.
func replace(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Clean(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(Clean(v.Error()))
		case []byte:
			a.Value = slog.StringValue(fmt.Sprintf("[%d bytes]", len(v)))
		default:
			a.Value = slog.StringValue(Clean(fmt.Sprint(v)))
		}
	}
	return a
}

// patterns are what does not belong into a log, and what is written instead.
var patterns = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?\b`), "[address]"},
	{regexp.MustCompile(`\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[^\]]*)?\](:\d{1,5})?`), "[address]"},
	{regexp.MustCompile(`\b([0-9a-f]{1,4}:){3,7}[0-9a-f]{0,4}\b`), "[address]"},
	{regexp.MustCompile(`\b[0-9A-Fa-f]{32,}\b`), "[key]"},
	{regexp.MustCompile(`\beyJ[\w-]{16,}(\.[\w-]*)*`), "[document]"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]+-----[^-]*(-----END [A-Z ]+-----)?`), "[key]"},
}

// Clean takes addresses, long hexadecimal numbers, signed documents and keys
// in PEM out of a text. Names of meters stay: they have 16 digits.
func Clean(text string) string {
	for _, p := range patterns {
		text = p.what.ReplaceAllString(text, p.with)
	}
	return text
}
