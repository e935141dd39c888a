package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"

	billpage "github.com/wattveil/wattveil/bill/page"
)

//go:embed static/*
var static embed.FS

// assets are the files that pages load, by name. Their addresses change with
// their content, so that browsers may keep them.
type assets map[string]asset

type asset struct {
	content []byte
	kind    string
	version string
}

func loadAssets() (assets, error) {
	all := make(assets)
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		return nil, fmt.Errorf("files of the portal: %w", err)
	}
	for _, e := range entries {
		content, err := fs.ReadFile(static, "static/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("files of the portal: %w", err)
		}
		all.add(e.Name(), content)
	}
	check, err := billpage.Script()
	if err != nil {
		return nil, fmt.Errorf("files of the portal: %w", err)
	}
	all.add(checkScript, []byte(check))
	return all, nil
}

// checkScript checks bills; it is made of the modules of package page.
const checkScript = "verify.js"

func (a assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	a[name] = asset{content, mime.TypeByExtension(path.Ext(name)), hex.EncodeToString(sum[:6])}
}

// path is the address of a file.
func (a assets) path(name string) (string, error) {
	f, ok := a[name]
	if !ok {
		return "", fmt.Errorf("no file %q", name)
	}
	return "/static/" + name + "?v=" + f.version, nil
}

func (a assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.content)))
	if r.URL.Query().Get("v") == f.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.content) // the browser has left if this fails
	}
}
