package operator_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wattveil/wattveil/internal/operator"
)

// echo answers what it is sent, or fails as the path says.
func echo(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/problem":
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"title":"Not Found","detail":"there is no meter","errors":[{"message":"odd","location":"body.count"}]}`)
	case "/title":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"title":"Bad Request"}`)
	case "/broken":
		w.WriteHeader(http.StatusInternalServerError)
	case "/text":
		_, _ = io.WriteString(w, "text")
	default:
		_, _ = io.Copy(w, r.Body)
	}
}

// clients reach the handler in each way.
func clients(t *testing.T) map[string]*operator.Client {
	t.Helper()
	made := map[string]*operator.Client{"local": operator.Local(http.HandlerFunc(echo))}
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	for name, dir := range map[string]string{"socket": t.TempDir(), "long path": long} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := operator.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "operator.sock"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the socket's mode: %v, %v", name, info.Mode(), err)
		}
		server := operator.Server(http.HandlerFunc(echo))
		done := make(chan error, 1)
		go func() { done <- server.Serve(l) }()
		client := operator.Dial(dir)
		t.Cleanup(func() {
			client.Close()
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		made[name] = client
	}
	return made
}

func TestClients(t *testing.T) {
	type note struct{ Text string }
	for name, c := range clients(t) {
		var got note
		if err := c.Do(t.Context(), "POST", "/v1/x?y=z", note{"hello"}, &got); err != nil || got.Text != "hello" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err := c.Do(t.Context(), "PUT", "/v1/x", json.RawMessage(`{"Text":"raw"}`), &got); err != nil || got.Text != "raw" {
			t.Errorf("%s: raw: %v, %v", name, got, err)
		}
		if err := c.Do(t.Context(), "GET", "/v1/x", nil, nil); err != nil {
			t.Errorf("%s: nothing: %v", name, err)
		}
		for path, want := range map[string]string{
			"/problem": "there is no meter; odd (body.count)", "/title": "Bad Request", "/broken": "the server answers 500",
		} {
			var refused *operator.Error
			if err := c.Do(t.Context(), "GET", path, nil, nil); !errors.As(err, &refused) || err.Error() != want {
				t.Errorf("%s: %s: %v, want %q", name, path, err, want)
			}
		}
		if err := c.Do(t.Context(), "GET", "/text", nil, &got); err == nil {
			t.Errorf("%s: an answer that is not JSON: no error", name)
		}
	}
}

func TestNotServing(t *testing.T) {
	dir := t.TempDir()
	ask := func() error { return operator.Dial(dir).Do(t.Context(), "GET", "/", nil, nil) }
	if err := ask(); !errors.Is(err, operator.ErrNotServing) {
		t.Errorf("no socket: %v", err)
	}
	for range 2 { // the second time there is a socket of before
		l, err := operator.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := ask(); !errors.Is(err, operator.ErrNotServing) {
			t.Errorf("a socket that is left: %v", err)
		}
	}
	if _, err := operator.Listen(filepath.Join(dir, "none")); err == nil {
		t.Error("no folder: no error")
	}
}
