package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readHeader reads line 1 and finds the columns asked for, all if none.
func (p *csvParser) readHeader(asked []string) error {
	line, more, err := p.readLine()
	if err != nil {
		return err
	}
	if !more {
		return p.fileError("is empty; give a header and one row for each interval")
	}
	if bytes.HasPrefix(line, []byte{0xFF, 0xFE}) || bytes.HasPrefix(line, []byte{0xFE, 0xFF}) {
		return p.fileError("is UTF-16; save it as UTF-8")
	}
	line = bytes.TrimPrefix(line, []byte("\ufeff"))
	fields, err := splitLine(nil, line)
	if err != nil {
		return p.lineError("has misplaced quotes (%v); quote whole names only", err)
	}
	if len(fields) < 2 {
		return p.lineError("has no columns of homes%s", separatorHint(line))
	}
	if _, isTime := parseWall(fields[0]); isTime {
		return p.lineError("is a row where the header belongs; add a line with the columns' names")
	}
	if err := p.nameColumns(fields); err != nil {
		return err
	}
	return p.choose(asked)
}

func separatorHint(line []byte) string {
	if i := bytes.IndexAny(line, ";\t|"); i >= 0 {
		return fmt.Sprintf("; separate the columns by commas, not by %q", line[i])
	}
	return "; the first column is the local time, each other one a home, separated by commas"
}

func (p *csvParser) nameColumns(fields [][]byte) error {
	seen := make(map[string]int, len(fields))
	for i, f := range fields {
		name := string(f)
		switch {
		case name == "":
			return p.lineError("has no name for column %d; name every column", i+1)
		case !printable(name):
			return p.lineError("names column %d %s, which is not printable UTF-8; rename it", i+1, quote(f))
		}
		if first, twice := seen[name]; twice {
			return p.lineError("names columns %d and %d both %q; rename one", first+1, i+1, name)
		}
		seen[name] = i
		p.header = append(p.header, name)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// choose notes the fields to keep.
func (p *csvParser) choose(asked []string) error {
	homes := p.header[1:]
	if len(asked) == 0 {
		asked = homes
	}
	index := make(map[string]int, len(homes))
	for i, name := range homes {
		index[name] = i + 1
	}
	taken := make([]bool, len(p.header))
	for _, name := range asked {
		i, ok := index[name]
		if !ok {
			return p.fileError("has no column %q; %s", name, suggest(name, homes))
		}
		if taken[i] {
			return p.fileError("column %q is asked for twice; ask once", name)
		}
		taken[i] = true
		p.wanted = append(p.wanted, i)
	}
	p.columns = slices.Clone(asked)
	return nil
}

// suggest names up to three columns that look like name, else the range.
func suggest(name string, homes []string) string {
	const most = 3
	var near []string
	for limit := 0; limit <= 2 && len(near) < most; limit++ {
		for _, h := range homes {
			if len(near) < most && distance(strings.ToLower(name), strings.ToLower(h)) == limit {
				near = append(near, fmt.Sprintf("%q", h))
			}
		}
	}
	if len(near) == 0 {
		return fmt.Sprintf("its %d columns run from %q to %q", len(homes), homes[0], homes[len(homes)-1])
	}
	return "near it are " + strings.Join(near, ", ")
}

// distance is the number of bytes to insert, delete or change to make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
