package link_test

import (
	"fmt"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/link"
)

func ExampleUpTopic() {
	id := wattveil.MeterID(0x0123456789abcdef)
	fmt.Println(link.UpTopic(id))
	fmt.Println(link.DownTopic(id))
	// Output:
	// wattveil/1/up/0123456789abcdef
	// wattveil/1/down/0123456789abcdef
}

func TestParseUpTopic(t *testing.T) {
	for _, test := range []struct {
		topic string
		id    wattveil.MeterID
		ok    bool
	}{
		{"wattveil/1/up/0123456789abcdef", 0x0123456789abcdef, true},
		{"wattveil/1/up/ffffffffffffffff", 0xffffffffffffffff, true},
		{"wattveil/1/up/0123456789ABCDEF", 0, false},
		{"wattveil/1/up/0123456789abcde", 0, false},
		{"wattveil/1/up/0123456789abcdef/", 0, false},
		{"wattveil/1/up/", 0, false},
		{"wattveil/1/down/0123456789abcdef", 0, false},
		{"wattveil/2/up/0123456789abcdef", 0, false},
		{"", 0, false},
	} {
		id, ok := link.ParseUpTopic(test.topic)
		if ok != test.ok || (ok && id != test.id) {
			t.Errorf("ParseUpTopic(%q) = %v, %v", test.topic, id, ok)
		}
	}
}
