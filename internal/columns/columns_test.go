package columns

import (
	"fmt"
	"strings"
	"testing"
)

func collect(text string) (string, error) {
	var out strings.Builder
	err := Read(strings.NewReader(text), []string{"meter", "name"}, []string{"note"}, func(r Row) error {
		if r.Get("name") == "bad" {
			return r.Errorf("name %q", "bad")
		}
		fmt.Fprintf(&out, "%d:%s|%s|%s;", r.Line, r.Get("meter"), r.Get("name"), r.Get("note"))
		return nil
	})
	return out.String(), err
}

func TestRead(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "meter,name\n1,a\n2,b\n", "2:1|a|;3:2|b|;"},
		{"other order, other columns, CRLF, no end", "x,name,note,meter\r\n,a,n,1\r\n,b,,2", "2:1|a|n;3:2|b|;"},
		{"byte order mark and spaces", "\uFEFFmeter , name\n 1 , a b \n", "2:1|a b|;"},
		{"quotes and line breaks", "meter,name\n1,\"a, \"\"b\"\"\nc\"\n2,d\n", "2:1|a, \"b\"\nc|;4:2|d|;"},
		{"empty lines", "meter,name\n\n1,a\n\n", "3:1|a|;"},
		{"no rows", "meter,name\n", ""},
	} {
		if got, err := collect(tt.text); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "it is empty: want a first line with the columns meter,name"},
		{"no column", "meter;name\n1;a\n", `line 1: there is no column "meter": want the columns meter,name, separated by commas`},
		{"twice", "meter,name,name\n", `line 1: column "name" is there twice`},
		{"fields", "meter,name\n1,a\n2\n", "line 3: it has another number of columns than the first line"},
		{"quote", "meter,name\n1,a\"b\n", `line 2, column 4: bare " in non-quoted-field`},
		{"long", "meter,name\n1," + strings.Repeat("a", maxField+1) + "\n", `line 2: column "name" has 4097 bytes, at most 4096 are possible`},
		{"reader", "meter,name\n1,a\n2,bad\n", `line 3: name "bad"`},
	} {
		if _, err := collect(tt.text); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// What is read is in the text, and nothing panics.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"meter,name\n1,a\n", "\uFEFFname,meter,note\r\n\"a\nb\",2,c\r\n", "meter\n", "", "\"", "meter,name\n1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last := 1
		err := Read(strings.NewReader(text), []string{"meter", "name"}, []string{"note"}, func(r Row) error {
			if r.Line <= last || r.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Errorf("row in line %d after line %d", r.Line, last)
			}
			last = r.Line
			for _, name := range []string{"meter", "name", "note"} {
				if cell := r.Get(name); len(cell) > maxField || cell != strings.TrimSpace(cell) {
					t.Errorf("column %s: %q", name, cell)
				}
			}
			return nil
		})
		if err != nil && err.Error() == "" {
			t.Error("an error says nothing")
		}
	})
}
