package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/wattveil/wattveil/internal/grid"
)

// The demo serves a portal in which every household's code proves its meter.
func TestDemoPortal(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), "wattveil", "demo", "--headless", "--meters", "3", "--days", "1", "--portal-addr", "localhost:0", "--report", report)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if lines.Text() == "The meters go on. Ctrl-C ends the demo." {
			claimAll(t, said, report)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ends with %v; it said %s", err, said)
	}
}

func claimAll(t *testing.T, said, file string) {
	t.Helper()
	found := regexp.MustCompile(`portal is at (http://localhost:\d+)\.`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("the demo does not say where the portal is: %s", said)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report grid.Report
	if err := json.Unmarshal(content, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Claims) != 3 {
		t.Fatalf("the report has %d claim codes, want 3", len(report.Claims))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range report.Claims {
		if !regexp.MustCompile(`(?m)^` + c.Column + `\s+` + regexp.QuoteMeta(c.Code) + `$`).MatchString(said) {
			t.Errorf("the code of %s is not printed", c.Column)
		}
		answer, err := client.PostForm(found[1]+"/claim", url.Values{"code": {c.Code}})
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/claim/passkey" {
			t.Errorf("the code of %s is answered %d", c.Column, answer.StatusCode)
		}
	}
}
