package bill

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// payloads are those of the vectors.
func payloads(f *testing.F) [][]byte {
	f.Helper()
	v, err := vectors.Load()
	if err != nil {
		f.Fatal(err)
	}
	var list [][]byte
	for _, vector := range v.Bills {
		if parts := strings.Split(vector.JWS, "."); len(parts) == 3 {
			if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
				list = append(list, data)
			}
		}
	}
	return list
}

// A payload that is accepted is the only text of its bill, and sorting the
// members of its objects changes nothing.
func FuzzParsePayload(f *testing.F) {
	for _, data := range payloads(f) {
		f.Add(data)
	}
	f.Add([]byte(``))
	f.Add([]byte(`{"lines":[1],"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parsePayload(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		again, err := b.canonical()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("accepted %s, which is written %s", data, again)
		}
		if Check(b) != nil {
			return
		}
		var any map[string]any
		if err := json.Unmarshal(data, &any); err != nil {
			t.Fatal(err)
		}
		var sorted bytes.Buffer
		enc := json.NewEncoder(&sorted)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(any); err != nil || !bytes.Equal(bytes.TrimSpace(sorted.Bytes()), data) {
			t.Errorf("accepted %s, sorted %s", data, sorted.Bytes())
		}
	})
}

// No text makes Verify panic, and none but the seeds is accepted.
func FuzzVerify(f *testing.F) {
	v, err := vectors.Load()
	if err != nil {
		f.Fatal(err)
	}
	keys, err := ParseKeySet(v.Keys)
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, vector := range v.Bills {
		f.Add(vector.JWS)
		good[vector.JWS] = vector.Class == "" || vector.Class == string(ErrSubject)
	}
	f.Fuzz(func(t *testing.T, jws string) {
		if _, err := Verify(jws, keys); err == nil && !good[jws] {
			t.Errorf("accepted %q", jws)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	v, err := vectors.Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, vector := range v.KeySets {
		f.Add([]byte(vector.Text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseKeySet(data)
		if err != nil {
			return
		}
		text, err := set.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKeySet(text); err != nil || len(again.ids) != len(set.ids) {
			t.Errorf("%s reads as %v, %v", text, again.ids, err)
		}
	})
}

// A document that is accepted is written as it came, but for a line break.
func FuzzParseDocument(f *testing.F) {
	v, err := vectors.Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"jws":"` + v.Bills[0].JWS + `","salt":"oKGio6SlpqeoqaqrrK2urw"}`))
	f.Add([]byte(`{"jws":"a","meter":"7/0123456789abcdef","proof":{"checkpoint":"x\n","hashes":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],"index":1},"salt":"oKGio6SlpqeoqaqrrK2urw"}`))
	f.Add([]byte(`{"proof":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDocument(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		text, err := d.Text()
		if err != nil || !bytes.Equal(text, bytes.TrimRight(data, "\r\n")) {
			t.Errorf("accepted %q, which is written %q, %v", data, text, err)
		}
	})
}

// What was kept is accepted in one form.
func FuzzParseSeen(f *testing.F) {
	v, err := vectors.Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range v.Documents {
		f.Add([]byte(d.Seen))
	}
	f.Add([]byte(v.Documents[0].Text))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSeen(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		if s.Checkpoint == "" {
			t.Errorf("accepted %q without a checkpoint", data)
		}
		for _, h := range s.Consistency {
			if len(h) != digestSize {
				t.Errorf("accepted a hash of %d bytes", len(h))
			}
		}
	})
}
