package ttp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// planted is what a visitor could give away. The portal may keep, log and
// repeat none of it.
var planted = []string{
	"Erika-Mustermann-Planted", "planted@visitor.example", "203.0.113.77", userAgent, "elsewhere.example/planted", "Customer-4711-Planted",
	"127.0.0.1", "[::1]",
}

func TestPortalKeepsNothingOfVisitors(t *testing.T) {
	p, m, b := withMeter(t)
	headers := []string{
		"X-Forwarded-For", planted[2], "Forwarded", "for=" + planted[2], "Referer", "https://" + planted[4],
		"From", planted[1], "X-Real-Ip", planted[2], "Authorization", "Basic " + planted[0],
	}
	form := url.Values{"code": {planted[0]}, "name": {planted[0]}, "email": {planted[1]}, "customer": {planted[5]}}
	b.claim(m.code(1))
	ref := strings.Split(b.path(), "/")[2]
	b.open("/m/" + ref + "/use?at=" + planted[0])
	b.signIn()
	var answers strings.Builder
	for _, path := range []string{"/", "/claim", "/sign-in", "/settings", "/m/" + ref + "/now", "/m/" + ref + "/use?by=" + planted[5], "/m/" + ref + "/meter", "/nowhere/" + planted[0]} {
		for _, method := range []string{"GET", "POST"} {
			got := p.ask(method, path, map[string]string{"POST": form.Encode()}[method], b.cookies(), headers...)
			if path != "/claim" || method != "POST" { // shows what was typed, to whoever typed it
				answers.WriteString(got.body)
			}
		}
	}
	p.faults.set(func(s *faultyStore) { s.read = errDisk })
	answers.WriteString(p.ask("GET", "/m/"+ref+"/now", "", b.cookies(), headers...).body)
	p.faults.set(func(s *faultyStore) { s.read = nil })
	b.noStrangers()

	var credential []byte
	must(t, p.db.QueryRow(`SELECT id FROM passkeys`).Scan(&credential))
	logs := p.log.String()
	if !strings.Contains(logs, "page not shown") {
		t.Error("the failure is not logged: this looks at another log")
	}
	p.close()
	files := readFolder(t, p.dir)
	p.open()
	if !bytes.Contains(files, credential) {
		t.Fatal("not even the passkey is in the store: this looks at nothing")
	}
	for _, value := range planted {
		for form, written := range map[string]string{
			"raw": value, "hexadecimal": hex.EncodeToString([]byte(value)), "base64": base64.StdEncoding.EncodeToString([]byte(value)),
		} {
			if bytes.Contains(files, []byte(written)) {
				t.Errorf("the store has %q, %s", value, form)
			}
			if strings.Contains(logs, written) {
				t.Errorf("the log has %q, %s", value, form)
			}
			if strings.Contains(answers.String(), written) {
				t.Errorf("an answer has %q, %s", value, form)
			}
		}
	}
	for _, column := range columnsOf(p) {
		if strings.Contains(column, "name") || strings.Contains(column, "mail") || strings.Contains(column, "address") || strings.Contains(column, "agent") {
			t.Errorf("the portal keeps %s", column)
		}
	}
}

// columnsOf are the columns of the portal's tables.
func columnsOf(p *portalRig) (list []string) {
	p.t.Helper()
	for _, table := range []string{"accounts", "passkeys", "portal_sessions", "claims", "takeovers", "claim_flags", "alerts", "raised_alerts", "links", "choices", "erasures"} {
		rows, err := p.db.Query(`SELECT name FROM pragma_table_info(?)`, table)
		must(p.t, err)
		n := len(list)
		for rows.Next() {
			var column string
			must(p.t, rows.Scan(&column))
			list = append(list, table+"."+column)
		}
		must(p.t, rows.Close())
		if len(list) == n {
			p.t.Errorf("table %s has no columns", table)
		}
	}
	return list
}

func readFolder(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, content...)
		return err
	}))
	return all
}
