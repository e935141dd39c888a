package collector_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/collector"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		verdicts         []wire.Verdict
		held, quarantine string
		want             collector.Forwarded
	}{
		{[]wire.Verdict{1, 1, 1, 1}, "", "", collector.Forwarded{Frames: 4, Durable: 4}},
		{[]wire.Verdict{2, 2, 2, 2}, "a b c d", "", collector.Forwarded{Frames: 4, Later: 4}},
		{[]wire.Verdict{3, 3, 3, 3}, "", "", collector.Forwarded{Frames: 4, Rekey: 4}},
		{[]wire.Verdict{4, 4, 4, 4}, "", "c d", collector.Forwarded{Frames: 4, Never: 4}}, // two fit the quarantine
		{[]wire.Verdict{4, 3, 2, 1}, "c", "a", collector.Forwarded{Frames: 4, Durable: 1, Later: 1, Rekey: 1, Never: 1}},
		{[]wire.Verdict{2, 1, 2, 1}, "a c", "", collector.Forwarded{Frames: 4, Durable: 2, Later: 2}},
	} {
		t.Run(fmt.Sprint(test.verdicts), func(t *testing.T) {
			f := open(t, nil)
			f.hold(t, "a", "b", "c", "d")
			f.utility.next(answer(func(a *wire.ForwardAnswer) { a.Verdicts = test.verdicts }))
			if got := f.forward(t); got != test.want {
				t.Errorf("forwarded %+v, want %+v", got, test.want)
			}
			if f.held(t) != test.held || f.quarantined(t) != test.quarantine {
				t.Errorf("held %q, quarantined %q; want %q, %q", f.held(t), f.quarantined(t), test.held, test.quarantine)
			}
			s := f.Stats()
			if s.Durable != uint64(test.want.Durable) || s.Later != uint64(test.want.Later) || s.Rekey != uint64(test.want.Rekey) ||
				s.Never != uint64(test.want.Never) || s.Posts != 1 || s.Queued != f.queue.Len() {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestPutOffFramesStayInOrder(t *testing.T) {
	f := open(t, nil)
	for round, text := range []string{"a", "b", "c"} {
		f.hold(t, text)
		f.utility.next(answer(func(a *wire.ForwardAnswer) {
			for i := range a.Verdicts {
				a.Verdicts[i] = wire.Later
			}
		}))
		if got := f.forward(t); got.Later != round+1 {
			t.Errorf("round %d: %+v", round, got)
		}
	}
	f.forward(t)
	last, err := wire.ParseForward(f.utility.posts()[3])
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, b := range last.Frames {
		order = append(order, string(b[len(b)-1:]))
	}
	if got := strings.Join(order, " "); got != "a b c" || f.queue.Len() != 0 {
		t.Errorf("posted %q, %d left", got, f.queue.Len())
	}
}

// TestBody holds the first post to the bytes of spec/protocol.md section 7.1.
func TestBody(t *testing.T) {
	f := open(t, nil)
	f.utility.next(roster(7, map[wattveil.MeterID]string{meter: "x"}))
	f.forward(t)
	f.hold(t, "z")
	f.forward(t)
	interval := "00000000001e0c90" // 1,772,366,400 s / 900 s
	want := []string{
		"01" + interval + "0000000000000000" + "00000000",
		"01" + interval + "0000000000000007" + "00000001" + "0046" + hex.EncodeToString(frame(meter, "z")),
	}
	for i, body := range f.utility.posts() {
		if got := hex.EncodeToString(body); got != want[i] {
			t.Errorf("post %d:\n%s, want\n%s", i, got, want[i])
		}
	}
	if got := f.utility.paths; got[0] != "POST /v1/forward" {
		t.Errorf("posted to %v", got)
	}
}

func TestLostAnswers(t *testing.T) {
	refused := func(status int) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) {
			return nil, fmt.Errorf("post: %w", &peer.Refusal{Status: status, Class: wire.Malformed})
		}
	}
	for _, test := range []struct {
		name    string
		answers []func([]byte) ([]byte, error)
		posts   int
		ok      bool
	}{
		{"one", []func([]byte) ([]byte, error){away}, 2, true},
		{"two", []func([]byte) ([]byte, error){away, refused(503)}, 3, true},
		{"three", []func([]byte) ([]byte, error){away, away, away}, 3, false},
		{"refused for good", []func([]byte) ([]byte, error){refused(400)}, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := open(t, nil)
			f.hold(t, "a", "b")
			f.utility.next(test.answers...)
			done, err := f.Forward(t.Context())
			posts := f.utility.posts()
			if (err == nil) != test.ok || len(posts) != test.posts {
				t.Fatalf("%d posts, %v", len(posts), err)
			}
			for _, body := range posts {
				if !bytes.Equal(body, posts[0]) {
					t.Error("a repeated post has other bytes")
				}
			}
			if test.ok {
				return
			}
			if done != (collector.Forwarded{}) || f.held(t) != "a b" || f.Stats().FailedPosts != 1 {
				t.Errorf("%+v; held %q; %+v", done, f.held(t), f.Stats())
			}
			if got := f.forward(t); got.Durable != 2 {
				t.Errorf("the next post: %+v", got)
			}
		})
	}
}

// TestMalformedAnswers: an answer that is not one changes nothing, and is not
// asked for again.
func TestMalformedAnswers(t *testing.T) {
	valid := wire.ForwardAnswer{
		Verdicts:  []wire.Verdict{wire.Durable, wire.Never},
		Downlinks: []wire.Downlink{{ID: meter, Frame: notice(meter)}},
		Roster:    9,
		Changes:   []wire.RosterEntry{{ID: meter, Hash: [32]byte{1}}},
	}.Append(nil)
	changed := func(at int, b byte) []byte {
		c := bytes.Clone(valid)
		c[at] = b
		return c
	}
	for name, body := range map[string][]byte{
		"empty":           {},
		"another version": changed(0, 2),
		"fewer verdicts":  changed(4, 1),
		"more verdicts":   changed(4, 3),
		"verdict 0":       changed(5, 0),
		"verdict 5":       changed(6, 5),
		"cut":             valid[:len(valid)-1],
		"trailing":        append(bytes.Clone(valid), 0),
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, nil)
			f.hold(t, "a", "b")
			f.utility.next(literal(body))
			done, err := f.Forward(t.Context())
			if !errors.Is(err, wire.Malformed) || done != (collector.Forwarded{}) {
				t.Errorf("%+v, %v", done, err)
			}
			s := f.Stats()
			if f.held(t) != "a b" || f.quarantined(t) != "" || s.Meters != 0 || s.FailedPosts != 1 || len(f.utility.posts()) != 1 {
				t.Errorf("held %q, quarantined %q, %+v", f.held(t), f.quarantined(t), s)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	f := open(t, nil)
	for name, change := range map[string]func(*collector.Config){
		"no queue":   func(c *collector.Config) { c.Queue = nil },
		"no utility": func(c *collector.Config) { c.Utility = nil },
		"no roster":  func(c *collector.Config) { c.RosterFile = "" },
		"interval":   func(c *collector.Config) { c.Interval = -1 },
		"a damaged roster": func(c *collector.Config) {
			if err := os.WriteFile(c.RosterFile, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a folder for a roster": func(c *collector.Config) { c.RosterFile = filepath.Dir(c.RosterFile) },
	} {
		cfg := f.cfg
		change(&cfg)
		if _, err := collector.Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestRosterCannotBeKept: frames are settled all the same, and the serial
// stays, so that the utility sends the changes again.
func TestRosterCannotBeKept(t *testing.T) {
	f := open(t, func(c *collector.Config) { c.RosterFile = filepath.Join(filepath.Dir(c.RosterFile), "none", "roster") })
	f.hold(t, "a")
	f.utility.next(roster(3, map[wattveil.MeterID]string{meter: "x"}))
	done, err := f.Forward(t.Context())
	if !errors.Is(err, os.ErrNotExist) || done.Durable != 1 || f.queue.Len() != 0 || f.Stats().Meters != 0 {
		t.Errorf("%+v, %v, %+v", done, err, f.Stats())
	}
	f.forward(t)
	if last, err := wire.ParseForward(f.utility.posts()[1]); err != nil || last.Roster != 0 {
		t.Errorf("the next post has roster serial %d, %v", last.Roster, err)
	}
}

// pile is a queue of frames that nothing ever leaves.
type pile struct {
	collector.Queue
	frames []collector.Item
}

func (p *pile) Items(after uint64, max, maxBytes int) (items []collector.Item, err error) {
	for _, item := range p.frames {
		if item.Seq <= after {
			continue
		}
		if maxBytes -= len(item.Frame); maxBytes < 0 || len(items) == max {
			break
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *pile) Settle([]uint64, []uint64) error { return nil }
func (p *pile) Len() int                        { return len(p.frames) }

// TestLargeQueues: a post is bounded in frames and bytes, and when more frames
// wait than fit, each has its turn, also when none is ever settled.
func TestLargeQueues(t *testing.T) {
	for _, test := range []struct{ frames, size, posts int }{
		{40_000, 70, 2}, {40_000, 454, 6}, {2_000, 4096, 3}, {32_768, 70, 1}, {32_769, 70, 2},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			p := new(pile)
			for i := range test.frames {
				b := append(frame(meter, fmt.Sprint(i)), make([]byte, test.size-70)...)
				p.frames = append(p.frames, collector.Item{Seq: uint64(i + 1), ID: meter, Frame: b})
			}
			f := open(t, func(c *collector.Config) { c.Queue = p })
			seen := map[string]bool{}
			for round := range 2 {
				clear(seen)
				for range test.posts {
					f.forward(t)
				}
				for _, body := range f.utility.posts()[round*test.posts:] {
					if len(body) > 7<<19 {
						t.Errorf("a post has %d bytes", len(body))
					}
					post, err := wire.ParseForward(body)
					if err != nil || len(post.Frames) > 32_768 {
						t.Fatalf("a post has %d frames, %v", len(post.Frames), err)
					}
					for _, b := range post.Frames {
						seen[string(b)] = true
					}
				}
				if len(seen) != test.frames {
					t.Errorf("round %d: %d posts had %d of %d frames", round, test.posts, len(seen), test.frames)
				}
			}
		})
	}
}
