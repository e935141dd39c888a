package source

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"time"
)

// maxWh is the most that one interval may hold: 1 GWh, a thousand times what
// any home's connection carries in an hour, and well inside 32 bits.
const maxWh = 1_000_000_000

// splitLine cuts a line at its commas, into fields' memory. The fields, trimmed
// of spaces, point into line unless it has quotes.
func splitLine(fields [][]byte, line []byte) ([][]byte, error) {
	fields = fields[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		texts, err := csv.NewReader(bytes.NewReader(line)).Read()
		if err != nil {
			if parse, ok := errors.AsType[*csv.ParseError](err); ok {
				err = parse.Err
			}
			return nil, err
		}
		for _, s := range texts {
			fields = append(fields, bytes.TrimSpace([]byte(s)))
		}
		return fields, nil
	}
	for {
		i := bytes.IndexByte(line, ',')
		if i < 0 {
			return append(fields, bytes.TrimSpace(line)), nil
		}
		fields = append(fields, bytes.TrimSpace(line[:i]))
		line = line[i+1:]
	}
}

// Values are read in 10^-9 kWh, of which a Wh has a million.
const (
	whDecimals   = 3
	fineDecimals = 9
	fineWh       = 1_000_000
)

// parseKWh reads kWh with at most so many decimals exactly, in 10^-9 kWh. Its
// errors do not repeat a number: it may be somebody's energy.
func parseKWh(s []byte, most int) (int64, error) {
	if len(s) == 0 {
		return 0, errors.New("has no value; fill it in, with 0 where no energy flowed")
	}
	digits := s
	negative := s[0] == '-'
	if negative || s[0] == '+' {
		digits = s[1:]
	}
	var fine int64
	whole, decimals, point := 0, 0, false
	for _, c := range digits {
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			return 0, notANumber(s)
		case point:
			decimals++
		default:
			whole++
		}
		// Past the limit the sum stops growing, so it cannot overflow.
		if fine <= maxWh*fineWh && decimals <= fineDecimals {
			fine = fine*10 + int64(c-'0')
		}
	}
	switch {
	case whole+decimals == 0:
		return 0, notANumber(s)
	case decimals > most && most == whDecimals:
		return 0, fmt.Errorf("has %d decimals; round it to three, which is 1 Wh", decimals)
	case decimals > most:
		return 0, fmt.Errorf("has %d decimals; round it to %d", decimals, most)
	}
	for ; decimals < fineDecimals && fine <= maxWh*fineWh; decimals++ {
		fine *= 10
	}
	if fine > maxWh*fineWh {
		return 0, errors.New("is over 1 GWh in one interval; the column must be in kWh")
	}
	if negative {
		fine = -fine
	}
	return fine, nil
}

// A remainder is what rounding a running sum to Wh has left over, of one
// column: import and export have a register each.
type remainder struct{ imported, exported int64 }

// round adds a value in 10^-9 kWh to the running sum of its direction and
// gives by how many Wh the rounded sum rises. A sum is rounded half up, so no
// interval is off by more than 1 Wh, and the sum never by more than half of one.
func (r *remainder) round(fine int64) int32 {
	if fine < 0 {
		return -carry(&r.exported, -fine)
	}
	return carry(&r.imported, fine)
}

// carry is never negative: what is left over is at least minus half a Wh.
func carry(left *int64, fine int64) int32 {
	sum := *left + fine
	wh := (sum + fineWh/2) / fineWh
	*left = sum - wh*fineWh
	return int32(wh)
}

func notANumber(s []byte) error {
	switch c := s[len(s)-1]; {
	case bytes.IndexByte(s, ':') >= 0, !bytes.ContainsAny(s, "0123456789"):
		return fmt.Errorf("%s is no number; write kWh as 0.123", quote(s))
	case bytes.ContainsAny(s, "eE") && c >= '0' && c <= '9':
		return errors.New("is no plain number; write kWh as 0.123, without an exponent")
	}
	return errors.New("is no number; write kWh as 0.123, with digits and one point only")
}

// quote shows a field's beginning on one line.
func quote(s []byte) string {
	const most = 24
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// parseWall reads 2006-01-02T15:04 or 2006-01-02 15:04, with or without
// seconds, as a wall time.
func parseWall(s []byte) (wall int64, ok bool) {
	const pattern = "dddd-dd-ddTdd:dd:dd"
	if len(s) != len(pattern) && len(s) != len(pattern)-len(":dd") {
		return 0, false
	}
	var part [6]int // year, month, day, hour, minute, second
	n := 0
	for i, c := range s {
		switch want := pattern[i]; {
		case want == 'd':
			if c < '0' || c > '9' {
				return 0, false
			}
			part[n] = part[n]*10 + int(c-'0')
		case want == c, want == 'T' && c == ' ':
			n++
		default:
			return 0, false
		}
	}
	t := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	same := t.Year() == part[0] && int(t.Month()) == part[1] && t.Day() == part[2] &&
		t.Hour() == part[3] && t.Minute() == part[4] && t.Second() == part[5]
	return t.Unix(), same
}
