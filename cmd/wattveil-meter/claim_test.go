package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// The drawing shows each module of the code, and white around it.
func TestDrawQR(t *testing.T) {
	const text = "0123456-789ABCD-EFGHJK*"
	drawn, err := drawQR(text)
	must(t, err)
	code, err := qr.Encode(text, qr.M)
	must(t, err)
	size := code.Size + 2*quietZone
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	if len(lines) != (size+1)/2 {
		t.Fatalf("%d lines, want %d", len(lines), (size+1)/2)
	}
	halves := map[rune][2]bool{' ': {true, true}, '▄': {true, false}, '▀': {false, true}, '█': {false, false}}
	black := 0
	for i, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, whiteOnBlack), ownColours)
		cells := []rune(line)
		if len(cells) != size {
			t.Fatalf("line %d has %d characters, want %d", i, len(cells), size)
		}
		for j, r := range cells {
			for k, isBlack := range halves[r] {
				x, y := j-quietZone, 2*i+k-quietZone
				inside := x >= 0 && y >= 0 && x < code.Size && y < code.Size
				if isBlack != (inside && code.Black(x, y)) {
					t.Errorf("module %d, %d is black: %v", x, y, isBlack)
				}
				if isBlack {
					black++
				}
			}
		}
	}
	if black < code.Size*code.Size/4 {
		t.Errorf("%d black modules", black)
	}
}
