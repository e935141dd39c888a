package invoice

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Links that the template is given are made here, of an address that CheckURL
// accepted and of base64; it would take data: for an attack.
func (c check) CodeURL() template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(c.Code))
}

// TargetURL is the page with the bill.
func (c check) TargetURL() template.URL { return template.URL(c.Target) }

// FileURL is the signed bill as a file.
func (c check) FileURL() template.URL {
	return template.URL("data:application/json;base64," + base64.StdEncoding.EncodeToString(c.File))
}

// HTML is the invoice as one page that needs nothing else.
func (l *Language) HTML(v *Invoice) ([]byte, error) {
	if err := CheckURL(v.URL); err != nil {
		return nil, fmt.Errorf("page that checks bills: %w", err)
	}
	s, err := l.sheet(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("invoice as HTML: %w", err)
	}
	return out.Bytes(), nil
}
