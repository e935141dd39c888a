package invoice

import (
	"fmt"

	"rsc.io/qr"
)

const (
	// codeRoom is how many bytes the largest code holds: version 40, level L,
	// less what says how many there are.
	codeRoom = 2953

	quietZone = 4    // light modules around a code
	moduleMM  = 0.45 // side of a module on paper: phones read it at arm's length
	leastMM   = 40.0 // side of a small code
)

// check makes the code, or says why there is none.
func (l *Language) check(v *Invoice) (check, error) {
	w := l.words
	file, err := v.Document.Text()
	if err != nil {
		return check{}, err
	}
	c := check{
		Title: w.check, Text: w.scan, Address: w.address, URL: v.URL, Attached: w.attach,
		Open: w.open, Save: w.save, Target: v.target(), File: file,
	}
	if n := len(c.Target); n > codeRoom {
		c.Text = fmt.Sprintf(w.tooLong, l.number(fmt.Sprint(n)), l.number(fmt.Sprint(codeRoom)))
		return c, nil
	}
	code, err := qr.Encode(c.Target, qr.L)
	if err != nil {
		return c, fmt.Errorf("code of the bill: %w", err)
	}
	code.Scale = 4
	c.Code, c.modules = code.PNG(), code.Size+2*quietZone
	c.CodeMM = max(leastMM, float64(c.modules)*moduleMM)
	return c, nil
}
