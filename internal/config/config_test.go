package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wattveil/wattveil/internal/config"
)

type server struct {
	Listen string        `koanf:"listen"`
	Window time.Duration `koanf:"pool_window"`
	Most   int           `koanf:"most"`
	TLS    bool          `koanf:"tls"`
	Log    struct {
		Level string `koanf:"level"`
	} `koanf:"log"`
}

func settings() []config.Setting {
	return []config.Setting{
		{"listen", "127.0.0.1:8440", "address to serve on"},
		{"pool_window", "30s", "how long to wait"},
		{"log.level", "info", "least severe log lines"},
		{"most", "24", "a number"},
		{"tls", "false", "a choice"},
	}
}

func load(t *testing.T, text string, environ []string, flags map[string]string) (server, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var s server
	err := config.Layers{
		Settings: settings(), File: path, Prefix: "WATTVEIL_X_", Environ: environ,
		Reserved: []string{"WATTVEIL_X_DIR"}, Flags: flags,
	}.Load(&s)
	return s, err
}

func TestLayers(t *testing.T) {
	got, err := load(t, "listen = \"a:1\"\npool_window = \"1m\"\nmost = 3\n[log]\nlevel = \"warn\"\n",
		[]string{"WATTVEIL_X_POOL_WINDOW=2m", "WATTVEIL_X_LOG_LEVEL=debug", "WATTVEIL_X_TLS=true", "WATTVEIL_X_DIR=d", "HOME=/"},
		map[string]string{"log.level": "error"})
	want := server{Listen: "a:1", Window: 2 * time.Minute, Most: 3, TLS: true}
	want.Log.Level = "error"
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	got, err = load(t, "[log]\n# level = \"warn\"\n", nil, nil)
	want = server{Listen: "127.0.0.1:8440", Window: 30 * time.Second, Most: 24}
	want.Log.Level = "info"
	if err != nil || got != want {
		t.Errorf("defaults: %+v, %v, want %+v", got, err, want)
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, text string
		environ    []string
		flags      map[string]string
		want       string
	}{
		{"misspelt key", "pool_windw = \"1s\"", nil, nil, `unknown key "pool_windw"; did you mean "pool_window"?`},
		{"unknown key", "colour = 1", nil, nil, `unknown key "colour"`},
		{"unknown key in a table", "[log]\ncolour = 1", nil, nil, `unknown key "log.colour"`},
		{"unknown table", "[x]\ny = 1", nil, nil, `unknown key "x.y"`},
		{"not TOML", "\x00\xff garbage", nil, nil, "server.toml"},
		{"key twice", "most = 1\nmost = 2", nil, nil, "server.toml"},
		{"no duration", "pool_window = \"soon\"", nil, nil, `pool_window "soon": want a time such as 30s`},
		{"no number", "most = \"many\"", nil, nil, `most "many": want a whole number`},
		{"no choice", "tls = \"perhaps\"", nil, nil, `tls "perhaps": want true or false`},
		{"not TOML in a line", "listen = \"x\"\nlisten == 1", nil, nil, "server.toml, line 2, column 9"},
		{"unknown empty table", "[x]", nil, nil, `unknown key "x"`},
		{"a table for a value", "[listen]\na = 1", nil, nil, `unknown key "listen.a"`},
		{"variable", "", []string{"WATTVEIL_X_COLOUR=1"}, nil, "WATTVEIL_X_COLOUR"},
		{"flag", "", nil, map[string]string{"colour": "1"}, "colour"},
		{"large file", strings.Repeat("#\n", 1<<20), nil, nil, "at most"},
	} {
		if got, err := load(t, test.text, test.environ, test.flags); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v; want %q", test.name, got, err, test.want)
		}
	}
	err := config.Layers{Settings: settings(), File: filepath.Join(t.TempDir(), "none.toml")}.Load(new(server))
	if err == nil || !strings.Contains(err.Error(), "there is no configuration file") {
		t.Errorf("no file: %v", err)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.toml")
	if err := config.Write(path, "The server", settings(), map[string]string{"listen": `odd "name"`, "tls": "true", "log.level": "warn"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# The server\n", "# how long to wait\n# pool_window = \"30s\"\n", "\ntls = true\n", "\n# most = 24\n", "[log]\n\n# least severe log lines\nlevel = \"warn\"\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file misses %q:\n%s", want, text)
		}
	}
	var s server
	if err := (config.Layers{Settings: settings(), File: path, Prefix: "WATTVEIL_X_"}).Load(&s); err != nil {
		t.Fatal(err)
	}
	if s.Listen != `odd "name"` || !s.TLS || s.Log.Level != "warn" || s.Window != 30*time.Second {
		t.Errorf("read again: %+v", s)
	}
	if err := config.Write(path, "x", settings(), map[string]string{"colour": "1"}); err == nil {
		t.Error("a value without a setting: no error")
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"", "listen = 1", "[log]\nlevel = \"x\"", "most = 1e400", "\xff", "pool_window = 1979-05-27"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = load(t, text, nil, nil) // must not panic
	})
}
