package utility

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/wire"
)

func TestFrames(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(2)
	m, other := meters[0], meters[1]
	unregistered := r.newMeters(1)[0]
	change := func(frame []byte, f func([]byte) []byte) []byte { return f(bytes.Clone(frame)) }
	rename := func(to wattveil.MeterID) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[1:], uint64(to)); return b }
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	data, m1, m3 := m.data(1, 0), m.m1(1, "M1"), m.m3(1)
	for _, tt := range []struct {
		name  string
		frame []byte
		want  wire.Verdict
		class wire.Class
	}{
		{"data", data, wire.Durable, ""},
		{"data again", data, wire.Durable, ""},
		{"data, bit of the tag", change(data, flip(-1)), wire.Never, wire.Forged},
		{"data, bit of the ciphertext", change(data, flip(20)), wire.Never, wire.Forged},
		{"data, bit of the counter", change(data, flip(13)), wire.Never, wire.Forged},
		{"data in another meter's name", change(data, rename(other.id())), wire.Never, wire.Forged},
		{"data in no meter's name", change(data, rename(1)), wire.Never, wire.Unknown},
		{"data of a meter that has not registered", unregistered.data(1, 0), wire.Later, wire.Unenrolled},
		{"data, a byte less", data[:len(data)-1], wire.Never, wire.Malformed},
		{"M1", m1, wire.Durable, ""},
		{"M1, bit of the body", change(m1, flip(27)), wire.Never, wire.Forged},
		{"M1, bit of the epoch", change(m1, flip(9)), wire.Never, wire.Forged},
		{"M1 in another meter's name", change(m1, rename(other.id())), wire.Never, wire.Forged},
		{"M1 in no meter's name", change(m1, rename(1)), wire.Never, wire.Unknown},
		{"M1 of a meter that has not registered", unregistered.m1(1, "M1"), wire.Later, wire.Unenrolled},
		{"M1 as M3", change(m3, func(b []byte) []byte { b[0] = byte(wire.TypeM1); return b }), wire.Never, wire.Forged},
		{"M3", m3, wire.Durable, ""},
		{"M3, bit", change(m3, flip(30)), wire.Never, wire.Forged},
		{"M2 from a meter", m.record.Secret.Tagged(m.id(), wire.Exchange{Type: wire.TypeM2, Low: 1, Body: []byte("M2")}), wire.Never, wire.Malformed},
		{"rekey notice from a meter", m.record.Secret.RekeyNotice(m.id(), 1), wire.Never, wire.Malformed},
		{"empty", nil, wire.Never, wire.Malformed},
		{"noise", []byte("\xffnoise and more"), wire.Never, wire.Malformed},
		{"longer than any frame", append([]byte{byte(wire.TypeM1)}, make([]byte, wire.MaxFrame)...), wire.Never, wire.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := r.Refused()[tt.class]
			if got := r.send(tt.frame).Verdicts[0]; got != tt.want {
				t.Errorf("verdict %v, want %v", got, tt.want)
			}
			if tt.class != "" && r.Refused()[tt.class] != before+1 {
				t.Errorf("counted %v, want one more %s", r.Refused(), tt.class)
			}
		})
	}
	for _, batch := range r.ttp.messages() {
		for _, msg := range batch {
			if !bytes.Equal(msg, m.toTTP(data)) {
				t.Errorf("the TTP got %x", msg)
			}
		}
	}
}

// What goes to the TTP holds no ID_SM and is ordered by an-ID, in batches of
// 4,096.
func TestBatches(t *testing.T) {
	r := enrolled(t, "a")
	const meters, each = 20, 450
	var frames [][]byte
	var want [][]byte
	all := r.meters(meters)
	for _, m := range all {
		for i := range each {
			frames = append(frames, m.data(1, wattveil.Counter(i)))
			want = append(want, m.toTTP(frames[len(frames)-1]))
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	refusedAt := map[int]bool{0: true, 777: true, len(frames) - 1: true}
	refused := make(map[string]bool)
	for i := range refusedAt {
		refused[string(frames[i][9:len(frames[i])-wire.TagSize])] = true // all but the name
	}
	r.ttp.set(func(f *fakeTTP) {
		f.verdict = func(msg []byte) wire.Verdict {
			if refused[string(msg[9:])] {
				return wire.Never
			}
			return wire.Durable
		}
	})
	answer := r.send(frames...)
	for i, v := range answer.Verdicts {
		if v == wire.Never != refusedAt[i] {
			t.Errorf("position %d: %v", i, v)
		}
	}
	slices.SortFunc(want, bytes.Compare)
	var got [][]byte
	var sizes []int
	for _, batch := range r.ttp.messages() {
		sizes, got = append(sizes, len(batch)), append(got, batch...)
	}
	if fmt.Sprint(sizes) != "[4096 4096 808]" {
		t.Errorf("batches of %v", sizes)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Error("the TTP did not get all messages in the order of an-IDs")
	}
	for _, body := range r.ttp.to("/v1/messages") {
		for _, m := range all {
			if bytes.Contains(body, binary.BigEndian.AppendUint64(nil, uint64(m.id()))) {
				t.Errorf("the TTP got the ID_SM %v", m.id())
			}
		}
	}
}

// Verdicts come back by position to each of several collectors.
func TestVerdictsByPosition(t *testing.T) {
	names := []string{"a", "b", "c"}
	r := enrolled(t, "a")
	meters := r.meters(9)
	r.addCollectors("b", "c")
	verdicts := []wire.Verdict{wire.Durable, wire.Later, wire.Rekey, wire.Never}
	byBytes := make(map[string]wire.Verdict)
	frames, want := make([][][]byte, 3), make([][]wire.Verdict, 3)
	for i := range 240 {
		m, c := meters[i%9], i%3
		frame := m.data(1, wattveil.Counter(i))
		v := verdicts[rand.IntN(4)]
		byBytes[string(m.toTTP(frame))] = v
		frames[c], want[c] = append(frames[c], frame), append(want[c], v)
	}
	r.ttp.set(func(f *fakeTTP) { f.verdict = func(msg []byte) wire.Verdict { return byBytes[string(msg)] } })
	done := make(chan error)
	for c, name := range names {
		go func() {
			answer, err := r.post(name, 10, frames[c]...)
			if err == nil && !slices.Equal(answer.Verdicts, want[c]) {
				err = fmt.Errorf("collector %s: verdicts are not those of its frames", name)
			}
			done <- err
		}()
	}
	for range names {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := len(r.ttp.messages()); n != 1 {
		t.Errorf("%d batches, want one of all collectors", n)
	}
}

func TestBadPosts(t *testing.T) {
	r := enrolled(t, "a")
	good := forwardBody(1, 0, []byte("x"))
	for name, body := range map[string][]byte{
		"empty": {}, "another version": append([]byte{2}, good[1:]...), "cut": good[:len(good)-1],
		"a byte more": append(bytes.Clone(good), 0), "count that does not fit": {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255},
		"noise": bytes.Repeat([]byte("noise"), 1000), "oversized": make([]byte, wire.MaxBody+1),
	} {
		if _, err := r.postBody("a", body, 1); classOf(err) != wire.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.ttp.to("/v1/messages")); n != 0 {
		t.Errorf("%d requests to the TTP", n)
	}
	if answer := r.send(); len(answer.Verdicts) != 0 {
		t.Errorf("an empty post: %v", answer.Verdicts)
	}
	if n := len(r.ttp.to("/v1/messages")) + len(r.ttp.to("/v1/exchanges")); n != 0 {
		t.Errorf("an empty round makes %d requests to the TTP", n)
	}
}

// The repeat of a post gets the stored answer without a second request to the
// TTP, also while the first is under way.
func TestRepeatedPost(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	frames := [][]byte{m.data(1, 0), m.m1(2, "M1"), m.request(m.next())}
	body := func() []byte { return forwardBody(50, 0, frames...) } // rewritten in place
	r.ttp.set(func(f *fakeTTP) { f.wait, f.waiting = make(chan struct{}), make(chan string, 9) })
	const posts = 4
	answers := make(chan string)
	for range posts {
		go func() {
			answer, err := r.handleForward(context.Background(), peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}, nil, body())
			answers <- fmt.Sprint(hex.EncodeToString(answer), err)
		}()
	}
	<-r.ttp.waiting
	close(r.ttp.wait)
	first := <-answers
	for range posts - 1 {
		if next := <-answers; next != first {
			t.Error("two answers to one post")
		}
	}
	answer, err := r.handleForward(t.Context(), peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}, nil, body())
	if got := fmt.Sprint(hex.EncodeToString(answer), err); got != first {
		t.Error("the repeat after the answer has another")
	}
	if n, x := len(r.ttp.to("/v1/messages")), len(r.ttp.to("/v1/exchanges")); n != 1 || x != 1 {
		t.Errorf("%d and %d requests to the TTP, want one each", n, x)
	}
	// Another post takes its place.
	if a, err := r.post("a", 50, m.data(1, 1)); err != nil || a.Verdicts[0] != wire.Later {
		t.Errorf("another post for an interval sent on: %v, %v", a.Verdicts, err)
	}
}

// A caller that leaves does not take its round along.
func TestCallerLeaves(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	wait := make(chan struct{})
	r.ttp.set(func(f *fakeTTP) { f.wait, f.waiting = wait, make(chan string, 9) })
	ctx, cancel := context.WithCancel(t.Context())
	frame := m.data(1, 0)
	name := peer.Name{Org: utilityOrg, Role: peer.RoleCollector, Instance: "a"}
	first := make(chan error)
	go func() {
		_, err := r.handleForward(ctx, name, nil, forwardBody(9, 0, bytes.Clone(frame)))
		first <- err
	}()
	<-r.ttp.waiting
	cancel()
	// The repeat of a caller that leaves again ends with its context.
	if _, err := r.handleForward(ctx, name, nil, forwardBody(9, 0, bytes.Clone(frame))); !errors.Is(err, context.Canceled) {
		t.Errorf("a repeat of who has left: %v", err)
	}
	close(wait)
	must(t, <-first)
	answer, err := r.handleForward(t.Context(), name, nil, forwardBody(9, 0, bytes.Clone(frame)))
	must(t, err)
	if a, err := wire.ParseForwardAnswer(answer, 1); err != nil || a.Verdicts[0] != wire.Durable {
		t.Errorf("the repeat: %v, %v", a.Verdicts, err)
	}
	if n := len(r.ttp.messages()); n != 1 {
		t.Errorf("%d batches, want 1", n)
	}
}

var errAway = errors.New("connection refused")

func TestTTPAway(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	frames := func() [][]byte { return [][]byte{m.data(1, 0), m.m1(1, "M1"), m.m3(1)} }
	for name, err := range map[string]error{
		"no connection": errAway,
		"unavailable":   &peer.Refusal{Status: 503, Class: wire.Unavailable},
		"refused":       &peer.Refusal{Status: 400, Class: wire.Unenrolled},
	} {
		r.ttp.set(func(f *fakeTTP) { f.fail = err })
		answer := r.send(frames()...)
		if join(answer.Verdicts) != "later later later" || len(answer.Downlinks) != 0 {
			t.Errorf("%s: %v, %d downlinks", name, join(answer.Verdicts), len(answer.Downlinks))
		}
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = nil })
	if answer := r.send(frames()...); join(answer.Verdicts) != "durable durable durable" {
		t.Errorf("when it is back: %v", join(answer.Verdicts))
	}
}

// Answers of the TTP that break the specification change nothing.
func TestMalformedAnswers(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	for name, mangle := range map[string]func([]byte) []byte{
		"empty":                  func([]byte) []byte { return nil },
		"cut":                    func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":            func(b []byte) []byte { return append(b, 0) },
		"another version":        func(b []byte) []byte { b[0] = 2; return b },
		"another count":          func(b []byte) []byte { b[4]++; return b },
		"one verdict less":       func(b []byte) []byte { return append([]byte{1, 0, 0, 0, 1}, b[6:]...) },
		"verdict 0":              func(b []byte) []byte { b[5] = 0; return b },
		"verdict 5":              func(b []byte) []byte { b[5] = 5; return b },
		"text":                   func([]byte) []byte { return []byte("internal error") },
		"a count beyond reason":  func([]byte) []byte { return []byte{1, 255, 255, 255, 255} },
		"larger than any answer": func([]byte) []byte { return make([]byte, wire.MaxBody+1) },
	} {
		r.ttp.set(func(f *fakeTTP) { f.mangle = func(_ string, answer []byte) []byte { return mangle(answer) } })
		answer := r.send(m.data(1, 0), m.data(1, 1), m.m1(1, "M1"), m.m1(2, "M1"))
		if join(answer.Verdicts) != "later later later later" || len(answer.Downlinks) != 0 {
			t.Errorf("%s: %v, %d downlinks", name, join(answer.Verdicts), len(answer.Downlinks))
		}
	}
}

// An answer to an exchange that no frame can carry is none.
func TestAnswersToExchanges(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	for _, tt := range []struct {
		name   string
		answer wire.ExchangeAnswer
		m3     bool
		want   wire.Verdict
		down   int
	}{
		{"M2", wire.ExchangeAnswer{Verdict: wire.Durable, M2: []byte("M2")}, false, wire.Durable, 1},
		{"the longest M2", wire.ExchangeAnswer{Verdict: wire.Durable, M2: make([]byte, wire.MaxFrame-42)}, false, wire.Durable, 1},
		{"an M2 too long for a frame", wire.ExchangeAnswer{Verdict: wire.Durable, M2: make([]byte, wire.MaxFrame-41)}, false, wire.Later, 0},
		{"an M2 too long for a length", wire.ExchangeAnswer{Verdict: wire.Durable, M2: make([]byte, math.MaxUint16)}, false, wire.Later, 0},
		{"durable without M2", wire.ExchangeAnswer{Verdict: wire.Durable}, false, wire.Later, 0},
		{"later with M2", wire.ExchangeAnswer{Verdict: wire.Later, M2: []byte("M2")}, false, wire.Later, 0},
		{"never", wire.ExchangeAnswer{Verdict: wire.Never}, false, wire.Never, 0},
		{"M3", wire.ExchangeAnswer{Verdict: wire.Durable}, true, wire.Durable, 0},
		{"M3 with M2", wire.ExchangeAnswer{Verdict: wire.Durable, M2: []byte("M2")}, true, wire.Durable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.ttp.set(func(f *fakeTTP) { f.exchange = func(wire.ExchangeRequest) wire.ExchangeAnswer { return tt.answer } })
			frame := m.m1(1, "M1")
			if tt.m3 {
				frame = m.m3(1)
			}
			answer := r.send(frame)
			if answer.Verdicts[0] != tt.want || len(answer.Downlinks) != tt.down {
				t.Fatalf("verdict %v with %d downlinks, want %v with %d", answer.Verdicts[0], len(answer.Downlinks), tt.want, tt.down)
			}
			if tt.down == 0 {
				return
			}
			x, err := m.record.Secret.OpenTagged(m.id(), answer.Downlinks[0].Frame)
			must(t, err)
			if x.Type != wire.TypeM2 || x.Low != 1 || !bytes.Equal(x.Body, tt.answer.M2) {
				t.Errorf("M2 of epoch %d with %d bytes", x.Low, len(x.Body))
			}
		})
	}
}

// Exchanges go under the pseudonym, without R and UC tag, in the order of
// an-IDs and before the messages that need them.
func TestExchangesAreRelayed(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(6)
	var frames [][]byte
	for i, m := range meters {
		frames = append(frames, m.data(1, 0), m.m1(1, fmt.Sprint("offer ", i)), m.m3(1))
	}
	answer := r.send(frames...)
	if len(answer.Downlinks) != len(meters) {
		t.Fatalf("%d downlinks", len(answer.Downlinks))
	}
	for i, d := range answer.Downlinks {
		x, err := meters[i].record.Secret.OpenTagged(d.ID, d.Frame)
		if err != nil || string(x.Body) != fmt.Sprint("M2 to offer ", i) {
			t.Errorf("downlink %d: %v", i, err)
		}
	}
	requests, err := wire.ParseExchanges(r.ttp.to("/v1/exchanges")[0])
	must(t, err)
	ordered := slices.IsSortedFunc(requests, func(a, b wire.ExchangeRequest) int {
		return bytes.Compare(binary.BigEndian.AppendUint64(nil, uint64(a.Pseudonym)), binary.BigEndian.AppendUint64(nil, uint64(b.Pseudonym)))
	})
	if len(requests) != 12 || !ordered {
		t.Errorf("%d requests, ordered: %v", len(requests), ordered)
	}
	var order []string
	for _, c := range r.ttp.calls {
		if c.path == "/v1/messages" || c.path == "/v1/exchanges" {
			order = append(order, c.path)
		}
	}
	if strings.Join(order, " ") != "/v1/exchanges /v1/messages" {
		t.Errorf("order of requests: %v", order)
	}
}

// A rekey notice is repeated with each answer until an M1 of the meter comes.
func TestRekeyNotices(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(2)
	m, other := meters[0], meters[1]
	refuse := func(lows ...byte) {
		r.ttp.set(func(f *fakeTTP) {
			f.verdict = func(msg []byte) wire.Verdict {
				if slices.Contains(lows, msg[9]) && bytes.HasPrefix(msg, other.toTTP(other.data(1, 0))[:9]) == false {
					return wire.Rekey
				}
				return wire.Durable
			}
		})
	}
	lows := func(answer wire.ForwardAnswer) (list []int) {
		t.Helper()
		for _, d := range answer.Downlinks {
			if wire.Type(d.Frame[0]) != wire.TypeRekeyNotice {
				continue
			}
			low, err := m.record.Secret.OpenRekeyNotice(m.id(), d.Frame)
			must(t, err)
			list = append(list, int(low))
		}
		slices.Sort(list)
		return list
	}
	refuse(3, 4)
	answer := r.send(m.data(3, 0), other.data(3, 0))
	if join(answer.Verdicts) != "rekey durable" || fmt.Sprint(lows(answer)) != "[3]" {
		t.Fatalf("%v, notices %v", join(answer.Verdicts), lows(answer))
	}
	if got := lows(r.send()); fmt.Sprint(got) != "[3]" {
		t.Errorf("with the next answer: %v", got)
	}
	if got := lows(r.send(m.data(4, 0), m.data(3, 1))); fmt.Sprint(got) != "[3 4]" {
		t.Errorf("for a second epoch: %v", got)
	}
	if got := lows(r.send(other.m1(5, "M1"))); fmt.Sprint(got) != "[3 4]" {
		t.Errorf("after another meter's M1: %v", got)
	}
	r.addCollectors("b")
	answer, err := func() (wire.ForwardAnswer, error) {
		done := make(chan error)
		go func() {
			_, err := r.post("a", r.interval+1)
			done <- err
		}()
		answer, err := r.post("b", r.interval+1)
		return answer, errors.Join(err, <-done)
	}()
	must(t, err)
	r.interval++
	if got := lows(answer); len(got) != 0 {
		t.Errorf("at a collector that does not carry the meter: %v", got)
	}
	must(t, r.RemoveCollector(t.Context(), "b"))
	forged := m.m1(5, "M1")
	forged[30] ^= 1
	if got := lows(r.send(forged)); fmt.Sprint(got) != "[3 4]" {
		t.Errorf("after a forged M1: %v", got)
	}
	if got := lows(r.send(m.m1(5, "M1"))); len(got) != 0 {
		t.Errorf("with the answer to the M1: %v", got)
	}
	if got := lows(r.send()); len(got) != 0 {
		t.Errorf("after the M1: %v", got)
	}
}

// The notice for an M3 that is refused with rekey names the M3's epoch.
func TestRekeyOfM3(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	r.ttp.set(func(f *fakeTTP) {
		f.exchange = func(wire.ExchangeRequest) wire.ExchangeAnswer { return wire.ExchangeAnswer{Verdict: wire.Rekey} }
	})
	answer := r.send(m.m3(200))
	low, err := m.record.Secret.OpenRekeyNotice(m.id(), answer.Downlinks[0].Frame)
	if err != nil || low != 200 {
		t.Errorf("notice of epoch %d, %v", low, err)
	}
}

// A meter that comes through another collector gets its notices there.
func TestRekeyFollowsTheMeter(t *testing.T) {
	r := enrolled(t, "a", "b")
	must(t, r.RemoveCollector(t.Context(), "b"))
	m := r.meters(1)[0]
	r.ttp.set(func(f *fakeTTP) { f.verdict = func([]byte) wire.Verdict { return wire.Rekey } })
	if n := len(r.send(m.data(1, 0)).Downlinks); n != 1 {
		t.Fatalf("%d downlinks", n)
	}
	must(t, r.RemoveCollector(t.Context(), "a"))
	r.addCollectors("b")
	answer, err := r.post("b", 100, m.data(1, 1))
	must(t, err)
	if n := len(answer.Downlinks); n != 1 {
		t.Errorf("%d notices at the new collector", n)
	}
}

// Logs hold no secret, and never ID_SM and an-ID in one line.
func TestLogs(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(3)
	r.ttp.set(func(f *fakeTTP) {
		f.verdict = func([]byte) wire.Verdict { return wire.Rekey }
		f.refuse = func([]byte) wire.Class { return wire.Evidence }
		f.exchange = func(wire.ExchangeRequest) wire.ExchangeAnswer { return wire.ExchangeAnswer{Verdict: wire.Durable} }
	})
	must(t, r.EnrolMeters(t.Context()))
	for _, m := range meters {
		bad := m.data(1, 1)
		bad[20] ^= 1
		badM1 := m.m1(1, "M1")
		badM1[30] ^= 1
		r.send(m.data(1, 0), bad, m.m1(1, "M1"), badM1, m.request(0), m.request(1), m.m3(2))
	}
	r.ttp.set(func(f *fakeTTP) { f.fail = errAway })
	r.send(meters[0].data(1, 5), meters[0].m1(4, "M1"))
	log := r.log.String()
	for _, want := range []string{"class=forged", "class=replayed", "TTP refused a statement", "messages wait", "no M2"} {
		if !strings.Contains(log, want) {
			t.Fatalf("the log does not tell %q:\n%s", want, log)
		}
	}
	for _, m := range meters {
		for _, secret := range [][]byte{m.record.Secret.Bytes(), m.answer.D[:], []byte(m.record.LinkPassword())} {
			for _, form := range []string{hex.EncodeToString(secret), string(secret), fmt.Sprint(secret)} {
				if strings.Contains(log, form) {
					t.Errorf("the log holds a secret as %q", form)
				}
			}
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, m.id().String()) && strings.Contains(line, m.answer.Meter.Pseudonym.String()) {
				t.Errorf("ID_SM and an-ID in one line: %s", line)
			}
		}
	}
}
