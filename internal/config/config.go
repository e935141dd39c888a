// Package config reads the settings of a server: from its file, above that
// from the environment, above that from the command line. What no layer sets
// has its default.
//
// The file is TOML. A key that no setting has is refused by its name, in every
// layer: a misspelt setting must not go unnoticed. Settings hold no secrets;
// these are in files of their own.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"

	"github.com/wattveil/wattveil/internal/folder"
)

const (
	delimiter = "."
	maxFile   = 1 << 20
	fileMode  = 0o644
)

// Setting is one setting. Its key has lower-case words joined by underscores,
// with a dot between a table and a key in it.
type Setting struct {
	Key     string // such as "pool_window" or "log.level"
	Default string // in its textual form
	Help    string // one line
}

// Flag is the setting's name on the command line, without hyphens before it.
func (s Setting) Flag() string { return strings.NewReplacer("_", "-", delimiter, "-").Replace(s.Key) }

// Variable is the setting's name in the environment.
func (s Setting) Variable(prefix string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(s.Key, delimiter, "_"))
}

// Layers are where settings come from.
type Layers struct {
	Settings []Setting
	File     string            // path; it must exist, unless empty
	Prefix   string            // of environment variables, such as "WATTVEIL_UTILITY_"
	Environ  []string          // as os.Environ gives it
	Reserved []string          // variables with the prefix that are not settings
	Flags    map[string]string // values given on the command line, by key
}

// Load decodes the settings into a struct whose fields carry the tag koanf:
// strings, booleans, integers and time.Duration ("30s").
func (l Layers) Load(into any) error {
	k := koanf.New(delimiter)
	for _, layer := range []func(*koanf.Koanf) error{l.defaults, l.file, l.environment, l.flags} {
		if err := layer(k); err != nil {
			return err
		}
	}
	err := k.UnmarshalWithConf("", into, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: &mapstructure.DecoderConfig{
		Result:           into,
		TagName:          "koanf",
		DecodeHook:       mapstructure.StringToTimeDurationHookFunc(),
		WeaklyTypedInput: true,
		ErrorUnused:      true,
	}})
	if err != nil {
		return fmt.Errorf("settings%s: %w", l.of(), explain(k, err))
	}
	return nil
}

// explain says which setting has a value of the wrong kind.
func explain(k *koanf.Koanf, err error) error {
	wrong, ok := errors.AsType[*mapstructure.DecodeError](err)
	if !ok {
		return err
	}
	want := "want a time such as 30s or 15m"
	if parse, ok := errors.AsType[*mapstructure.ParseError](err); ok {
		want = "want a whole number"
		if parse.Expected.Kind() == reflect.Bool {
			want = "want true or false"
		}
	}
	return fmt.Errorf("%s %q: %s", wrong.Name(), fmt.Sprint(k.Get(wrong.Name())), want)
}

func (l Layers) of() string {
	if l.File == "" {
		return ""
	}
	return " of " + l.File
}

func (l Layers) known(key string) bool {
	return slices.ContainsFunc(l.Settings, func(s Setting) bool { return s.Key == key })
}

// emptyTable tells whether a key is of a table of settings that sets none.
func (l Layers) emptyTable(key string, value any) bool {
	content, ok := value.(map[string]any)
	return ok && len(content) == 0 && slices.ContainsFunc(l.Settings, func(s Setting) bool { return strings.HasPrefix(s.Key, key+delimiter) })
}

func (l Layers) defaults(k *koanf.Koanf) error {
	values := make(map[string]any)
	for _, s := range l.Settings {
		values[s.Key] = s.Default
	}
	return k.Load(confmap.Provider(values, delimiter), nil)
}

func (l Layers) file(k *koanf.Koanf) error {
	if l.File == "" {
		return nil
	}
	info, err := os.Stat(l.File)
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes, at most %d are possible", info.Size(), maxFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no configuration file %s", l.File)
	}
	if err != nil {
		return fmt.Errorf("configuration file %s: %w", l.File, err)
	}
	raw, err := os.ReadFile(l.File)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	read := koanf.New(delimiter)
	if err := read.Load(rawbytes.Provider(raw), toml.Parser()); err != nil {
		return fmt.Errorf("configuration file %s%s: %w", l.File, position(err), err)
	}
	for _, key := range read.Keys() {
		if !l.known(key) && !l.emptyTable(key, read.Get(key)) {
			return fmt.Errorf("configuration file %s: unknown key %q%s", l.File, key, l.similar(key))
		}
	}
	return k.Merge(read)
}

// position is where in a file the parser has found something wrong.
func position(err error) string {
	var at interface {
		error
		Position() (row, column int)
	}
	if !errors.As(err, &at) {
		return ""
	}
	row, column := at.Position()
	return fmt.Sprintf(", line %d, column %d", row, column)
}

func (l Layers) environment(k *koanf.Koanf) error {
	values := make(map[string]any)
	for _, entry := range l.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, l.Prefix) || slices.Contains(l.Reserved, name) {
			continue
		}
		i := slices.IndexFunc(l.Settings, func(s Setting) bool { return s.Variable(l.Prefix) == name })
		if i < 0 {
			return fmt.Errorf("environment variable %s: there is no such setting", name)
		}
		values[l.Settings[i].Key] = value
	}
	return k.Load(confmap.Provider(values, delimiter), nil)
}

func (l Layers) flags(k *koanf.Koanf) error {
	values := make(map[string]any)
	for key, value := range l.Flags {
		if !l.known(key) {
			return fmt.Errorf("flag %q: there is no such setting", key)
		}
		values[key] = value
	}
	return k.Load(confmap.Provider(values, delimiter), nil)
}

// similar suggests a key that differs in few letters.
func (l Layers) similar(key string) string {
	for _, s := range l.Settings {
		if common(key, s.Key)*4 >= 3*max(len(key), len(s.Key)) {
			return fmt.Sprintf("; did you mean %q?", s.Key)
		}
	}
	return ""
}

// common is the length of the longest common subsequence of two short words.
func common(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		before := 0
		for j := range b {
			next := row[j+1]
			if a[i] == b[j] {
				row[j+1] = before + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			before = next
		}
	}
	return row[len(b)]
}

// Write writes a configuration file with every setting and its help. A setting
// that values does not name is a comment with its default.
func Write(path, title string, settings []Setting, values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !(Layers{Settings: settings}).known(key) {
			return fmt.Errorf("write configuration file %s: there is no setting %q", path, key)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", title)
	for _, inTable := range []bool{false, true} { // TOML wants tables last
		table := ""
		for _, s := range settings {
			head, key, nested := strings.Cut(s.Key, delimiter)
			if nested != inTable {
				continue
			}
			if !nested {
				key = s.Key
			} else if head != table {
				table = head
				fmt.Fprintf(&b, "\n[%s]\n", table)
			}
			value, set := values[s.Key]
			comment := ""
			if !set {
				value, comment = s.Default, "# "
			}
			fmt.Fprintf(&b, "\n# %s\n%s%s = %s\n", s.Help, comment, key, literal(value))
		}
	}
	return folder.WriteFile(path, []byte(b.String()), fileMode)
}

// literal is a value as TOML writes it.
func literal(value string) string {
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return value
	}
	if value == "true" || value == "false" {
		return value
	}
	return strconv.Quote(value)
}
