package portal

import (
	"bufio"
	"io"
	"net/http"
	"time"
)

const downloadBuffer = 64 << 10

// download answers a file that the browser saves, while it is made. What fails
// before its first bytes is answered as any failure; what fails later breaks
// the answer off, so that the browser sees that it is not whole.
func (v *visit) download(kind, name string, write func(io.Writer) error) error {
	a := &attachment{v: v, kind: kind, name: name}
	out := bufio.NewWriterSize(a, downloadBuffer)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil && a.begun {
		v.s.cfg.Log.Error("download broken off", "kind", kind, "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// attachment is an answer that the browser saves. Its headers go with its first
// bytes. Each write has as long as an ordinary answer.
type attachment struct {
	v          *visit
	kind, name string
	begun      bool
}

func (a *attachment) Write(p []byte) (int, error) {
	if !a.begun {
		a.begun = true
		h := a.v.w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
		h.Set("Cache-Control", "no-store")
	}
	_ = http.NewResponseController(a.v.w).SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is a connection
	return a.v.w.Write(p)
}
