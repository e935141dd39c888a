package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/bill/page"
)

// The policy allows exactly the script and the style of the page, and nothing
// of keys that are given becomes HTML.
func TestPolicy(t *testing.T) {
	text, err := page.HTML(page.Keys{JWKS: `{"keys":["</script><script>alert(1)</script>"]}`})
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(s)
	if policy == nil {
		t.Fatal("there is no policy")
	}
	for _, part := range []struct{ open, end string }{{`<script type="module">`, "</script>"}, {"<style>", "</style>"}} {
		_, rest, _ := strings.Cut(s, part.open)
		body, _, found := strings.Cut(rest, part.end)
		sum := sha256.Sum256([]byte(body))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !found || !strings.Contains(html.UnescapeString(policy[1]), want) {
			t.Errorf("the policy %s lacks %s, the hash of what follows %s", policy[1], want, part.open)
		}
	}
	if strings.Contains(s, "alert(1)</script>") || strings.Count(s, "<script") != 2 {
		t.Error("keys became HTML")
	}
	if found := regexp.MustCompile(`(?i)(https?:)?//[a-z]`).FindString(s); found != "" {
		t.Errorf("the page names an address: %s", found)
	}
}

// Other pages get the modules without this page.
func TestScript(t *testing.T) {
	s, err := page.Script()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(s, "export { Refusal, verify };\n") || strings.Contains(s, "import {") || strings.Contains(s, "document.getElementById") {
		t.Error("the script is not the modules alone")
	}
	for _, code := range []string{`["CHF", 2]`, `["JPY", 0]`, `["KWD", 3]`} {
		if !strings.Contains(s, code) {
			t.Errorf("the currencies lack %s", code)
		}
	}
}
