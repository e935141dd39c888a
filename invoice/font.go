package invoice

import (
	"strings"
	"sync"

	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// letters is the font of PDFs. The bold one has the same letters.
var letters = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic("invoice: the font that is built in: " + err.Error())
	}
	return f
})

// stand is drawn in the place of letters that the font lacks.
const stand = '□'

func drawable(r rune) bool {
	i, err := letters().GlyphIndex(nil, r)
	return err == nil && i != 0
}

// drawn is a text with a box for each letter that the font lacks.
func drawn(text string) string {
	return strings.Map(func(r rune) rune {
		if !drawable(r) {
			return stand
		}
		return r
	}, text)
}

// Undrawn are the letters of some lines that the font of PDFs lacks: it has
// Latin, Greek and Cyrillic ones. HTML is drawn with the reader's own fonts.
func Undrawn(lines []string) string {
	return strings.Map(func(r rune) rune {
		if drawable(r) {
			return -1
		}
		return r
	}, strings.Join(lines, ""))
}
