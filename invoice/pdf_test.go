package invoice

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
)

// readable is what a test reads in a PDF.
type readable struct {
	text     []string // each piece that is drawn, in order
	targets  []string // of links
	attached string   // the one file that is
}

var (
	streamOf = regexp.MustCompile(`(?s)<<([^\n]*)>>\n+stream\n(.*?)\nendstream`)
	shownIn  = regexp.MustCompile(`(?s)\(((?:\\.|[^\\)])*)\) ?T[jJ]|\(((?:\\.|[^\\)])*)\)\] ?TJ`)
	linkIn   = regexp.MustCompile(`(?s)/URI \(((?:\\.|[^\\)])*)\)`)
)

func readPDF(t *testing.T, pdf []byte) (r readable) {
	t.Helper()
	for _, m := range streamOf.FindAllSubmatch(pdf, -1) {
		if !bytes.Contains(m[1], []byte("FlateDecode")) {
			continue
		}
		z, err := zlib.NewReader(bytes.NewReader(m[2]))
		if err != nil {
			continue // of an image
		}
		content, err := io.ReadAll(z)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		switch {
		case bytes.Contains(m[1], []byte("EmbeddedFile")):
			r.attached = string(content)
		case bytes.Contains(content, []byte("BT ")):
			for _, s := range shownIn.FindAllSubmatch(content, -1) {
				r.text = append(r.text, wide(unescape(append(s[1], s[2]...))))
			}
		}
	}
	for _, m := range linkIn.FindAllSubmatch(pdf, -1) {
		r.targets = append(r.targets, string(unescape(m[1])))
	}
	return r
}

func unescape(s []byte) []byte {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] == 'r' {
				out = append(out, '\r')
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

func wide(s []byte) string {
	units := make([]uint16, len(s)/2)
	for i := range units {
		units[i] = uint16(s[2*i])<<8 | uint16(s[2*i+1])
	}
	return string(utf16.Decode(units))
}

// What a phone reads from the printed page is the bill.
func TestCodeIsReadFromPaper(t *testing.T) {
	for _, name := range []string{"pdftoppm", "zbarimg"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("reading the code takes %s: %v", name, err)
			}
			t.Skipf("reading the code takes %s: %v", name, err)
		}
	}
	v := invoiceOf(t, "month")
	long := *v
	long.Document.JWS = strings.Repeat("aB3-_x", 600)[:codeRoom-len(v.URL)-1]
	for _, v := range []*Invoice{v, &long} {
		out, err := language(t, "de-CH").PDF(v)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "invoice.pdf")
		if err := os.WriteFile(file, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("pdftoppm", "-r", "200", "-gray", file, filepath.Join(dir, "page")).CombinedOutput(); err != nil {
			t.Fatalf("pdftoppm: %v: %s", err, out)
		}
		pages, err := filepath.Glob(filepath.Join(dir, "page*"))
		if err != nil {
			t.Fatal(err)
		}
		read, _ := exec.Command("zbarimg", append([]string{"--quiet", "--raw", "--nodbus"}, pages...)...).Output() // it fails for pages without a code
		if got := strings.TrimSpace(string(read)); got != v.target() {
			t.Errorf("the code of %d bytes says %.80q…, want %.80q…", len(v.target()), got, v.target())
		}
	}
}
