package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// secrets holds a value of each type that redacts itself, by value and by
// pointer, filled with the byte 0x5a as far as a caller can.
func secrets(t *testing.T) map[string]any {
	t.Helper()
	z := bytes.Repeat([]byte{0x5a}, wire.SessionKeysSize)
	secret, err := wire.ParseSecret(z[:16])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := wire.ParseSessionKeys(z)
	if err != nil {
		t.Fatal(err)
	}
	tag := secret.DataTagKey()
	registered := wire.Registered{D: [32]byte(z), Statement: z}
	answer := wire.Answer{S: [16]byte(z)}
	claim := wire.NewClaimCode(wattveil.Meter{}, [32]byte(z))
	tagger := wire.NewTagger()
	tagger.Append(tag, z)
	sealer := wire.NewSealer(1, wattveil.Meter{}, 1, &keys.Up, tag)
	return map[string]any{
		"Secret": secret, "*Secret": &secret,
		"SessionKeys": *keys, "*SessionKeys": keys,
		"DirectionKey": keys.Up, "*DirectionKey": &keys.Up,
		"TagKey": *tag, "*TagKey": tag,
		"Registered": registered, "*Registered": &registered,
		"Answer": answer, "*Answer": &answer,
		"ClaimCode": claim, "*ClaimCode": &claim,
		"*Tagger": tagger, "*Sealer": sealer,
	}
}

func TestSecretsRedact(t *testing.T) {
	const want = "[secret]"
	for name, v := range secrets(t) {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%s", "%q", "%o", "%c", "%8.3v"} {
				if got := fmt.Sprintf(verb, v); got != want {
					t.Errorf("%s prints %s", verb, got)
				}
				if got := fmt.Sprintf(verb, struct{ Field any }{v}); !strings.Contains(got, want) || len(got) > 60 {
					t.Errorf("%s of a struct prints %s", verb, got)
				}
			}
			if b, err := json.Marshal(v); err != nil || string(b) != `"`+want+`"` {
				t.Errorf("JSON %s (%v)", b, err)
			}
			if b, err := json.Marshal(map[string]any{"list": []any{v}}); err != nil || string(b) != `{"list":["`+want+`"]}` {
				t.Errorf("JSON in a list: %s (%v)", b, err)
			}
			for kind, line := range logLines(v) {
				if strings.Count(line, want) != 2 || strings.Contains(line, "5a5a") || strings.Contains(line, "90") {
					t.Errorf("%s logs %s", kind, line)
				}
			}
		})
	}
}

// logLines logs a value as an attribute and inside a group, without a time.
func logLines(v any) map[string]string {
	options := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	lines := map[string]string{}
	for kind, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, options) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, options) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("test", "value", v, slog.Group("group", "value", v))
		lines[kind] = b.String()
	}
	return lines
}

// Errors of decoders cross to logs: they must not hold what was typed or sent.
func TestErrorsHoldNoInput(t *testing.T) {
	const typed = "ZZZZZZZ-ZZZZZZZ-ZZZZZZZ"
	if _, err := wire.ParseClaimCode(typed); err == nil || strings.Contains(err.Error(), "Z") {
		t.Errorf("claim code: %v", err)
	}
	if _, err := wire.ParseClaimCode("Z" + typed[1:6] + "é" + typed[7:]); err == nil || strings.Contains(err.Error(), "Z") {
		t.Errorf("claim code: %v", err)
	}
}
