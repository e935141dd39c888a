package transparency

import (
	"encoding/json"
	"strings"
	"testing"
)

// written are the keys of a new log and witness.
func written(t testing.TB) string {
	l, err := Open(t.Context(), t.TempDir(), origin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	key, err := l.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	w, err := OpenWitness(t.TempDir(), "utility.example", origin, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(Keys{Origin: origin, Log: key, Witness: w.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseKeys(t *testing.T) {
	text := written(t)
	k, err := ParseKeys([]byte(text + "\n"))
	if err != nil || k.Origin != origin {
		t.Fatalf("%s reads as %+v, %v", text, k, err)
	}
	with := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	for name, text := range map[string]string{
		"empty":       "",
		"list":        "[]",
		"unknown":     with(`"log"`, `"key":"x","log"`),
		"text after":  text + "{}",
		"no origin":   with(`"`+origin+`"`, `""`),
		"two lines":   with(`"`+origin+`"`, `"a\nb"`),
		"no log":      with(k.Log, ""),
		"log":         with(k.Log, "ttp.example/bills+00000000+AAAA"),
		"no witness":  with(k.Witness, ""),
		"witness":     with(k.Witness, k.Witness[:len(k.Witness)-4]),
		"much":        text + strings.Repeat(" ", 5000),
		"private key": with(k.Log, "PRIVATE+KEY+x+00000000+AAAA"),
	} {
		if k, err := ParseKeys([]byte(text)); err == nil {
			t.Errorf("%s: reads as %+v", name, k)
		} else if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: the error has several lines: %q", name, err)
		}
	}
}

// What is accepted is written and read again as the same keys.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(written(f)))
	f.Add([]byte(`{"origin":"a","log":"b","witness":"c"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKeys(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKeys(text); err != nil || again != k {
			t.Errorf("%s reads as %+v, %v", text, again, err)
		}
	})
}
