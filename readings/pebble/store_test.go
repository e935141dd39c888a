package pebble

import (
	"testing"

	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/readings/readingstest"
)

func TestStore(t *testing.T) {
	readingstest.Run(t, func(t *testing.T, dir string) readings.Store {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
