package bill_test

import (
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/bill"
)

// document is one that reads, in its canonical form.
const document = `{"jws":"a.b.c","meter":"7/0123456789abcdef","proof":{"checkpoint":"ttp.example/bills\n2\nAAAA\n\n— ttp.example/bills BBBB\n",` +
	`"hashes":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],"index":1},"salt":"oKGio6SlpqeoqaqrrK2urw"}`

func TestDocument(t *testing.T) {
	d, err := bill.ParseDocument([]byte(document + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := bill.Document{
		JWS: "a.b.c", Meter: "7/0123456789abcdef", Salt: "oKGio6SlpqeoqaqrrK2urw",
		Proof: &bill.Proof{Index: 1, Hashes: [][]byte{make([]byte, 32)}, Checkpoint: "ttp.example/bills\n2\nAAAA\n\n— ttp.example/bills BBBB\n"},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("reads as %+v", d)
	}
	text, err := d.Text()
	if err != nil || string(text) != document {
		t.Errorf("written %s, %v", text, err)
	}
	entry, err := d.Entry()
	salt, _ := bill.ParseSalt(d.Salt)
	if err != nil || entry != sha256.Sum256(append(salt[:], "a.b.c"...)) || entry != bill.EntryOf(d.JWS, salt) {
		t.Errorf("entry %v, %v", entry, err)
	}
	bare := `{"jws":"a.b.c","salt":"oKGio6SlpqeoqaqrrK2urw"}`
	if d, err := bill.ParseDocument([]byte(bare)); err != nil || d.Proof != nil {
		t.Errorf("without meter and proof: %+v, %v", d, err)
	}
	if !bill.IsDocument([]byte(bare)) || bill.IsDocument([]byte("a.b.c")) {
		t.Error("a document and a bare bill are not told apart")
	}
}

func TestDocumentRefuses(t *testing.T) {
	with := func(old, new string) string {
		if strings.Count(document, old) != 1 {
			t.Fatalf("%s is not there once", old)
		}
		return strings.Replace(document, old, new, 1)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"a bare bill":       "a.b.c",
		"a list":            "[]",
		"null":              "null",
		"cut off":           document[:len(document)-1],
		"text after it":     document + "{}",
		"two line breaks":   document + "\n\n",
		"white space":       with(`"a.b.c",`, `"a.b.c", `),
		"order":             with(`"jws":"a.b.c","meter":"7/0123456789abcdef",`, `"meter":"7/0123456789abcdef","jws":"a.b.c",`),
		"capital":           with(`"jws"`, `"JWS"`),
		"twice":             with(`"jws":"a.b.c"`, `"jws":"a.b.c","jws":"a.b.c"`),
		"unknown":           with(`"salt"`, `"key":"x","salt"`),
		"unknown inside":    with(`"index":1`, `"index":1,"key":"x"`),
		"no bill":           with(`"jws":"a.b.c",`, ``),
		"empty bill":        with(`"a.b.c"`, `""`),
		"no salt":           with(`,"salt":"oKGio6SlpqeoqaqrrK2urw"`, ``),
		"short salt":        with(`oKGio6SlpqeoqaqrrK2urw`, `oKGi`),
		"meter":             with(`7/0123456789abcdef`, `0123456789abcdef`),
		"meter in capitals": with(`7/0123456789abcdef`, `7/0123456789ABCDEF`),
		"meter with zeros":  with(`7/0123456789abcdef`, `07/0123456789abcdef`),
		"empty meter":       with(`7/0123456789abcdef`, ``),
		"null proof":        `{"jws":"a.b.c","proof":null,"salt":"oKGio6SlpqeoqaqrrK2urw"}`,
		"null hashes":       with(`["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]`, `null`),
		"short hash":        with(`"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`, `"AAAA"`),
		"padded hash":       with(`"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`, `"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`),
		"many hashes":       with(`["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]`, `["`+strings.Repeat(strings.Repeat("A", 43)+`","`, 64)+strings.Repeat("A", 43)+`"]`),
		"negative index":    with(`"index":1`, `"index":-1`),
		"huge index":        with(`"index":1`, `"index":9007199254740992`),
		"index as text":     with(`"index":1`, `"index":"1"`),
		"no checkpoint":     with(`"checkpoint":"ttp.example/bills\n2\nAAAA\n\n— ttp.example/bills BBBB\n"`, `"checkpoint":""`),
		"long checkpoint":   with(`ttp.example/bills BBBB`, strings.Repeat("x", 9000)),
		"escaped":           with(`—`, `\u2014`),
		"too long":          `{"jws":"` + strings.Repeat("a", 200<<10) + `"}`,
		"long bill":         `{"jws":"` + strings.Repeat("a", 129<<10) + `","salt":"oKGio6SlpqeoqaqrrK2urw"}`,
	} {
		_, err := bill.ParseDocument([]byte(text))
		if !errors.Is(err, bill.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		} else if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: the error has several lines: %q", name, err)
		}
	}
}

func TestSeen(t *testing.T) {
	const hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for text, want := range map[string]bill.Seen{
		"a\n2\nAAAA\n\n— b c\n": {Checkpoint: "a\n2\nAAAA\n\n— b c\n"},
		document + "\n":         {Checkpoint: "ttp.example/bills\n2\nAAAA\n\n— ttp.example/bills BBBB\n"},
		`{"checkpoint":"x\n","consistency":["` + hash + `"]}` + "\n": {Checkpoint: "x\n", Consistency: [][]byte{make([]byte, 32)}},
	} {
		if s, err := bill.ParseSeen([]byte(text)); err != nil || !reflect.DeepEqual(s, want) {
			t.Errorf("%q reads as %+v, %v", text, s, err)
		}
	}
	for name, text := range map[string]string{
		"empty":         "",
		"long":          strings.Repeat("x", 9000),
		"very long":     strings.Repeat("x", 300<<10),
		"no checkpoint": `{"checkpoint":"","consistency":[]}`,
		"no list":       `{"checkpoint":"x"}`,
		"null":          `{"checkpoint":"x","consistency":null}`,
		"unknown":       `{"checkpoint":"x","consistency":[],"key":"y"}`,
		"white space":   `{"checkpoint":"x", "consistency":[]}`,
		"short hash":    `{"checkpoint":"x","consistency":["AAAA"]}`,
		"many":          `{"checkpoint":"x","consistency":["` + strings.Repeat(hash+`","`, 128) + hash + `"]}`,
		"unlogged":      `{"jws":"a.b.c","salt":"oKGio6SlpqeoqaqrrK2urw"}`,
	} {
		if s, err := bill.ParseSeen([]byte(text)); !errors.Is(err, bill.ErrDocument) {
			t.Errorf("%s reads as %+v, %v", name, s, err)
		}
	}
}
