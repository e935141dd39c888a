// Package page is a page that checks a bill in a browser, without a network and
// without trust in whoever shows the bill.
//
// The page is one HTML file with everything in it: it works from a disk, and its
// content security policy forbids every request. It checks what bill verify
// checks without readings: signature, form, sums, meter and log (spec/bill.md
// sections 6 and 9). Keys come from whoever opens it or makes it, never from the
// bill.
//
// The sources are HTML, CSS and JavaScript modules beside this file. [Script] is
// the modules without the page, for other pages that check bills.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"sync"

	"github.com/wattveil/wattveil/tariff"
)

//go:embed index.html style.css *.js
var sources embed.FS

// modules are what [Script] is put together from, each after those that it
// imports. currencies.js is made, not written.
func modules() []string {
	return []string{
		"refusal.js", "bytes.js", "json.js", "decimal.js", "calendar.js", "currencies.js", "keys.js", "payload.js",
		"check.js", "bill.js", "log.js", "document.js", "verify.js",
	}
}

// Keys are what a page comes with, for a TTP that publishes one: a JWKS, and the
// keys of its log (spec/bill.md sections 2 and 9). Each may be empty.
type Keys struct {
	JWKS string `json:"jwks"`
	Log  string `json:"log"`
}

var (
	importLine = regexp.MustCompile(`(?m)^import \{[^}]*\} from "\./[a-z]+\.js";\n`)
	exported   = regexp.MustCompile(`(?m)^export ((?:async )?function|const|class) (\w+)`)
)

// script puts modules together as one. Each keeps its names to itself, but for
// those that it exports.
func script(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		source := currencyModule()
		if name != "currencies.js" {
			data, err := sources.ReadFile(name)
			if err != nil {
				return "", fmt.Errorf("bill page: %w", err)
			}
			source = string(data)
		}
		var exports []string
		for _, found := range exported.FindAllStringSubmatch(source, -1) {
			exports = append(exports, found[2])
		}
		source = strings.TrimSpace(exported.ReplaceAllString(importLine.ReplaceAllString(source, ""), "$1 $2"))
		if exports == nil {
			fmt.Fprintf(&b, "// --- %s\n{\n%s\n}\n\n", name, source)
			continue
		}
		list := strings.Join(exports, ", ")
		fmt.Fprintf(&b, "// --- %s\nconst { %s } = (() => {\n%s\nreturn { %s };\n})();\n\n", name, list, source, list)
	}
	return b.String(), nil
}

// Script is one JavaScript module that exports verify, which verify.js
// describes, and the class Refusal.
var Script = sync.OnceValues(func() (string, error) {
	text, err := script(modules())
	return text + "export { Refusal, verify };\n", err
})

// currencyModule tells how many decimals each currency has, as package tariff
// knows them: browsers know other currencies and other decimals.
var currencyModule = sync.OnceValue(func() string {
	var b strings.Builder
	b.WriteString("// The currencies of spec/tariff.md section 6 and their decimals.\n\nexport const currencies = new Map([")
	n := 0
	for i := range 26 * 26 * 26 {
		code := string([]byte{'A' + byte(i/676), 'A' + byte(i/26%26), 'A' + byte(i%26)})
		currency, err := tariff.ParseCurrency(code)
		if err != nil {
			continue
		}
		if n%12 == 0 {
			b.WriteString("\n ")
		}
		n++
		fmt.Fprintf(&b, " [%q, %d],", code, currency.Decimals())
	}
	b.WriteString("\n]);\n")
	return b.String()
})

// HTML is the page.
func HTML(keys Keys) ([]byte, error) {
	text, err := script(append(modules(), "texts.js", "show.js", "page.js"))
	if err != nil {
		return nil, err
	}
	style, err := sources.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("bill page: %w", err)
	}
	index, err := template.ParseFS(sources, "index.html")
	if err != nil {
		return nil, fmt.Errorf("bill page: %w", err)
	}
	text, styleText := "\n"+text, "\n"+string(style)
	given, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("bill page: %w", err)
	}
	var out bytes.Buffer
	err = index.Execute(&out, struct {
		Policy string
		Style  template.HTML
		Script template.HTML
		Keys   template.HTML
	}{
		Policy: policy(text, styleText),
		Style:  template.HTML("<style>" + styleText + "</style>"),
		Script: template.HTML(`<script type="module">` + text + "</script>"),
		Keys:   template.HTML(`<script type="application/json" id="given-keys">` + string(given) + "</script>"), // json.Marshal escapes <
	})
	if err != nil {
		return nil, fmt.Errorf("bill page: %w", err)
	}
	return out.Bytes(), nil
}

// policy allows the script and the style of the page by their hashes, and
// nothing else: no request to anywhere.
func policy(script, style string) string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; img-src data:; base-uri 'none'; form-action 'none'"
}
