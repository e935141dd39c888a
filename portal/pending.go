package portal

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// pending is what browsers have begun and not ended, each under a random name
// that the browser has in a cookie. It is kept in memory, bounded in time and
// number.
type pending[T any] struct {
	lasts time.Duration
	list  *lru.Cache[string, begun[T]]
}

type begun[T any] struct {
	value T
	ends  time.Time
}

func newPending[T any](lasts time.Duration, most int) (*pending[T], error) {
	list, err := lru.New[string, begun[T]](most)
	return &pending[T]{lasts, list}, err
}

// begin keeps a value and gives its name.
func (p *pending[T]) begin(value T, now time.Time) (name string) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	name = base64.RawURLEncoding.EncodeToString(raw[:])
	p.list.Add(name, begun[T]{value, now.Add(p.lasts)})
	return name
}

// see is the value of a name, if its time is not over.
func (p *pending[T]) see(name string, now time.Time) (T, bool) {
	b, ok := p.list.Peek(name)
	return b.value, ok && now.Before(b.ends)
}

// end takes the value of a name, once.
func (p *pending[T]) end(name string, now time.Time) (T, bool) {
	value, ok := p.see(name, now)
	return value, p.list.Remove(name) && ok
}
