package open_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

// Every bit of a message counts for the TTP, the names in the header too: the
// key that it tried does not open a message with another name on it.
func TestEveryBitCounts(t *testing.T) {
	var opener open.Opener
	for _, name := range benchNames {
		v := vector(t, name)
		key, msg := keyOf(t, v), bytes.Clone(v.ToTTP)
		for bit := range 8 * len(msg) {
			msg[bit/8] ^= 1 << (bit % 8)
			if _, err := opener.Open(nil, key, msg); !errors.Is(err, wire.Forged) && (bit >= 8 || !errors.Is(err, wire.Malformed)) {
				t.Errorf("%s: bit %d turned: %v", name, bit, err)
			}
			msg[bit/8] ^= 1 << (bit % 8)
		}
		if _, err := opener.Open(nil, key, msg); err != nil {
			t.Errorf("%s: after all refusals: %v", name, err)
		}
	}
}

// Open appends: what the caller had stays, and a refused message leaves it so.
func TestOpenAppends(t *testing.T) {
	var opener open.Opener
	v := vector(t, benchNames[1])
	key := keyOf(t, v)
	before := []wattveil.Reading{{Time: 1}, {Time: 2}}
	got, err := opener.Open(slices.Clone(before), key, v.ToTTP)
	if err != nil || len(got.Readings) != 98 || !slices.Equal(got.Readings[:2], before) {
		t.Fatalf("%d readings: %v", len(got.Readings), err)
	}
	if !bytes.Equal(v.ToTTP, vector(t, benchNames[1]).ToTTP) {
		t.Error("opening changed the message")
	}
	mine := slices.Clone(before)
	if _, err := opener.Open(mine, key, v.ToTTP[:len(v.ToTTP)-1]); err == nil || !slices.Equal(mine, before) {
		t.Errorf("refused message: %v", err)
	}
}

func TestKeysAndBuffersRedact(t *testing.T) {
	var opener open.Opener
	v := vector(t, benchNames[0])
	key := keyOf(t, v)
	if _, err := opener.Open(nil, key, v.ToTTP); err != nil {
		t.Fatal(err)
	}
	const want = "[secret]"
	for name, value := range map[string]any{"*Key": key, "Key": *key, "*Opener": &opener, "Opener": opener} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%s", "%q"} {
			if got := fmt.Sprintf(verb, value); got != want {
				t.Errorf("%s under %s prints %s", name, verb, got)
			}
		}
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("test", "value", value)
		if !bytes.Contains(b.Bytes(), []byte(`"value":"`+want+`"`)) {
			t.Errorf("%s logs %s", name, b.Bytes())
		}
	}
}
