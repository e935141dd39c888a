package clpke_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/kgc"
)

// secretForms are the ways in which a secret's bytes could show.
func secretForms(secret []byte) []string {
	return []string{
		hex.EncodeToString(secret),
		strings.ToUpper(hex.EncodeToString(secret)),
		new(big.Int).SetBytes(secret).String(),
		string(secret),
		strings.Trim(fmt.Sprint(secret), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"),
	}
}

func TestSecretsRedactThemselves(t *testing.T) {
	k := newTestKey(t, meterID)
	signer, err := k.signer.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	config := kgc.Config{Master: k.master, Signer: k.signer, UC: 7}
	center, err := kgc.New(config)
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{k.user.Bytes(), k.partial.Bytes()[clpke.PointSize:], k.master.Bytes(), signer}
	for _, v := range []any{
		k.user, *k.user, k.partial, *k.partial, k.private, *k.private, k.private.Secret(), *k.private.Secret(),
		k.master, *k.master, config, &config, center, *center,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%b", "%t", "%e", "%c", "%U", "%p"} {
			if got := fmt.Sprintf(verb, v); got != "[redacted]" && verb != "%p" {
				t.Errorf("%T under %s is %q", v, verb, got)
			}
			checkNoSecret(t, fmt.Sprintf("%T under %s", v, verb), fmt.Sprintf(verb, v), secrets)
		}
		nested := struct {
			Outer any
			inner any
		}{v, v}
		encoded, err := json.Marshal(map[string]any{"v": v, "nested": nested})
		if err != nil || !strings.Contains(string(encoded), `"v":"[redacted]"`) {
			t.Errorf("%T in JSON: %s, %v", v, encoded, err)
		}
		var logged bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
			slog.New(h).Info("planted", "v", v, "nested", nested, "error", fmt.Errorf("with %v", v))
		}
		if strings.Count(logged.String(), "[redacted]") < 4 {
			t.Errorf("%T in a log: %s", v, logged.String())
		}
		all := string(encoded) + logged.String() + fmt.Sprintf("%v %+v %#v", nested, nested, nested)
		checkNoSecret(t, fmt.Sprintf("%T", v), all, secrets)
	}
}

func checkNoSecret(t *testing.T, what, printed string, secrets [][]byte) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range secretForms(secret) {
			if strings.Contains(printed, form) {
				t.Errorf("%s shows a secret: %s", what, printed)
			}
		}
	}
}

// The check above sees a planted leak.
func TestSecretFormsSeeALeak(t *testing.T) {
	secret := newTestKey(t, meterID).user.Bytes()
	for _, verb := range []string{"%v", "%#v", "%x", "%X", "%s", "%d"} {
		printed, found := fmt.Sprintf(verb, secret), false
		for _, form := range secretForms(secret) {
			found = found || strings.Contains(printed, form)
		}
		if !found {
			t.Errorf("a leak under %s goes unseen", verb)
		}
	}
}

func TestSecretsCannotBeComparedWithEquals(t *testing.T) {
	for _, v := range []any{clpke.UserKey{}, clpke.PartialKey{}, clpke.PrivateKey{}, kgc.MasterKey{}, kgc.KGC{}} {
		if reflect.TypeOf(v).Comparable() {
			t.Errorf("%T is comparable", v)
		}
	}
}

// What opens messages is out of reach of a package that merely holds the key:
// its only methods redact, and its fields are not exported.
func TestSecretIsOpaque(t *testing.T) {
	typ := reflect.TypeOf((*clpke.PrivateKey).Secret).Out(0)
	for i := range typ.NumMethod() {
		switch name := typ.Method(i).Name; name {
		case "Format", "LogValue", "MarshalText":
		default:
			t.Errorf("method %s", name)
		}
	}
	for i := range typ.Elem().NumField() {
		if f := typ.Elem().Field(i); f.IsExported() && !f.Anonymous {
			t.Errorf("field %s", f.Name)
		}
	}
}

// Errors name the identity and never a secret.
func TestErrorsHoldNoSecret(t *testing.T) {
	k, other := newTestKey(t, meterID), newTestKey(t, meterID)
	_, err := clpke.NewPrivateKey(k.user, other.partial, meterID, k.master.Public())
	if err == nil || !strings.Contains(err.Error(), meterID.String()) {
		t.Errorf("error %v does not name the identity", err)
	}
	checkNoSecret(t, "error", fmt.Sprint(err), [][]byte{k.user.Bytes(), other.partial.Bytes()[clpke.PointSize:]})
	long := append(k.user.Bytes(), 1)
	_, err = clpke.ParseUserKey(long)
	checkNoSecret(t, "error", fmt.Sprint(err), [][]byte{k.user.Bytes()})
}
