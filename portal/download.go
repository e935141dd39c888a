package portal

import (
	"bufio"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

// Of spec/portal.md section 12.
const (
	exportsOfAccount = 2
	exportsAtOnce    = 16
)

// exporting counts the exports that are under way.
type exporting struct {
	mu  sync.Mutex
	all int
	of  map[consumer.Account]int
}

// begin counts one until it ends, or refuses it.
func (x *exporting) begin(a consumer.Account) (end func(), err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all >= exportsAtOnce || x.of[a] >= exportsOfAccount {
		return nil, classExporting
	}
	x.add(a, 1)
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.add(a, -1)
	}, nil
}

func (x *exporting) add(a consumer.Account, n int) {
	if x.of == nil {
		x.of = make(map[consumer.Account]int)
	}
	x.all += n
	if x.of[a] += n; x.of[a] == 0 {
		delete(x.of, a)
	}
}

// inTurn writes what takes long, unless too much is written already.
func (v *visit) inTurn(write func() error) error {
	end, err := v.s.exports.begin(v.session.Account)
	if err != nil {
		return err
	}
	defer end()
	return write()
}

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
