package utility

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// Each row of the table in spec/protocol.md section 4.4.
func TestRegistration(t *testing.T) {
	const (
		behind = -24 * 60 * 60
		ahead  = 5 * 60
	)
	now := start.Unix()
	for _, tt := range []struct {
		name    string
		frame   func(m, other *smart) []byte
		verdict wire.Verdict
		class   wire.Class
		down    wire.Type // 0 for none
	}{
		{"first", func(m, _ *smart) []byte { return m.request(now) }, wire.Durable, "", wire.TypeRegistered},
		{"as far behind as may be", func(m, _ *smart) []byte { return m.request(now + behind) }, wire.Durable, "", wire.TypeRegistered},
		{"as far ahead as may be", func(m, _ *smart) []byte { return m.request(now + ahead) }, wire.Durable, "", wire.TypeRegistered},
		{"too far behind", func(m, _ *smart) []byte { return m.request(now + behind - 1) }, wire.Durable, wire.Stale, wire.TypeRegRefused},
		{"too far ahead", func(m, _ *smart) []byte { return m.request(now + ahead + 1) }, wire.Durable, wire.Stale, wire.TypeRegRefused},
		{"1970", func(m, _ *smart) []byte { return m.request(0) }, wire.Durable, wire.Stale, wire.TypeRegRefused},
		{"unknown meter", func(m, _ *smart) []byte {
			return m.record.Secret.Register(m.id()+1, wire.RegisterRequest{Time: now, Mu: m.user.Public()})
		}, wire.Never, wire.Unknown, 0},
		{"another meter's secret", func(m, other *smart) []byte {
			return other.record.Secret.Register(m.id(), wire.RegisterRequest{Time: now, Mu: m.user.Public()})
		}, wire.Never, wire.Forged, 0},
		{"a bit", func(m, _ *smart) []byte { f := m.request(now); f[30] ^= 1; return f }, wire.Never, wire.Forged, 0},
		{"a byte less", func(m, _ *smart) []byte { return m.request(now)[:98] }, wire.Never, wire.Malformed, 0},
		{"user value is no point", func(m, _ *smart) []byte {
			return m.record.Secret.Register(m.id(), wire.RegisterRequest{Time: now, Mu: [33]byte{5}})
		}, wire.Never, wire.Malformed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := enrolled(t, "a")
			meters := r.newMeters(2)
			answer := r.send(tt.frame(meters[0], meters[1]))
			if answer.Verdicts[0] != tt.verdict {
				t.Errorf("verdict %v, want %v", answer.Verdicts[0], tt.verdict)
			}
			if tt.class != "" && r.Refused()[tt.class] != 1 {
				t.Errorf("counted %v, want one %s", r.Refused(), tt.class)
			}
			if got := len(answer.Downlinks); got != 0 != (tt.down != 0) || got > 0 && wire.Type(answer.Downlinks[0].Frame[0]) != tt.down {
				t.Errorf("%d downlinks, want %v", got, tt.down)
			}
			if n := r.count("pseudonyms"); n != 0 != (tt.down == wire.TypeRegistered) {
				t.Errorf("%d pseudonyms were drawn", n)
			}
		})
	}
}

// What a meter checks of an answer (section 4.2) holds.
func TestRegistrationAnswer(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(2)[0]
	a := m.answer
	signer := &r.signer.PublicKey
	own, err := clpke.VerifyStatement(a.Statement, signer)
	must(t, err)
	ttp, err := clpke.VerifyStatement(a.TTPStatement, signer)
	must(t, err)
	root, err := clpke.VerifyRoot(a.SignedTTPRoot, &r.ttp.root.PublicKey)
	must(t, err)
	if own.Identity() != clpke.MeterIdentity(a.Meter) || own.Mu != m.user.Public() || own.Serial != firstSerial {
		t.Errorf("own statement is of %v", own.Identity())
	}
	if ttp.Role != clpke.RoleTTP || ttp.UC != ucNumber || ttp.Master != own.Master || !root.Covers(ttp) || root.UC != ucNumber {
		t.Errorf("TTP's statement is of %v", ttp.Identity())
	}
	if a.RootKey != clpke.PublicKeyPoint(&r.ttp.root.PublicKey) || a.Time != start.Unix() || a.EpochBase != 0 || a.Meter.UC != ucNumber {
		t.Error("root key, time or epoch base is not as it should be")
	}
	if !own.ValidAt(start.Unix()) || !ttp.ValidAt(start.Unix()) {
		t.Error("a statement does not hold now")
	}
	partial, err := clpke.ParsePartialKey(append(own.Omega[:len(own.Omega):len(own.Omega)], a.D[:]...))
	must(t, err)
	if _, err := clpke.NewPrivateKey(m.user, partial, own.Identity(), own.Master); err != nil {
		t.Error(err)
	}
	if uint64(a.Meter.Pseudonym) == uint64(m.id()) {
		t.Error("the an-ID is the ID_SM")
	}
	if listed, err := r.Meters(t.Context()); err != nil || listed[m.id()] != a.Meter.Pseudonym || len(listed) != 2 {
		t.Errorf("listed %v, %v", listed, err)
	}
}

// A meter whose answer was lost asks again and gets the same content, sealed
// anew.
func TestAnswerLost(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	first := m.answer
	again := func() {
		t.Helper()
		r.clock.add(time.Minute)
		request := m.request(m.next())
		answer := r.send(request)
		if answer.Verdicts[0] != wire.Durable || len(answer.Downlinks) != 1 {
			t.Fatalf("verdict %v, %d downlinks", answer.Verdicts[0], len(answer.Downlinks))
		}
		m.open(request, answer.Downlinks[0])
		got := m.answer
		if got.Time != r.clock.Now().Unix() {
			t.Errorf("time %d is not the present one", got.Time)
		}
		if got.Meter != first.Meter || got.D != first.D || got.EpochBase != first.EpochBase || got.RootKey != first.RootKey ||
			!bytes.Equal(got.Statement, first.Statement) || !bytes.Equal(got.TTPStatement, first.TTPStatement) ||
			!bytes.Equal(got.SignedTTPRoot, first.SignedTTPRoot) {
			t.Error("the content is another")
		}
	}
	again()
	r.reopen()
	again()
	if n := r.count("statements"); n != 1 {
		t.Errorf("%d statements were signed, want 1", n)
	}
}

func TestRegistrationReplayed(t *testing.T) {
	r := enrolled(t, "a")
	m := r.newMeters(1)[0]
	now := start.Unix()
	request := m.request(now)
	r.send(request)
	for name, frame := range map[string][]byte{
		"byte-identical": request, "with the same time": m.request(now), "with a time before": m.request(now - 1),
		"with a time before that would be stale": m.request(0),
	} {
		answer := r.send(frame)
		if answer.Verdicts[0] != wire.Never || len(answer.Downlinks) != 0 {
			t.Errorf("%s: verdict %v, %d downlinks", name, answer.Verdicts[0], len(answer.Downlinks))
		}
	}
	if got := r.Refused()[wire.Replayed]; got != 4 {
		t.Errorf("%d replays are counted, want 4", got)
	}
	r.reopen()
	if answer := r.send(request); answer.Verdicts[0] != wire.Never || len(answer.Downlinks) != 0 {
		t.Errorf("after a restart: verdict %v, %d downlinks", answer.Verdicts[0], len(answer.Downlinks))
	}
}

// A registered meter that has lost the time is told it, each time that it says
// so, and nothing of it is noted.
func TestRegistrationWithoutATime(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	for range 2 {
		frame := m.request(math.MaxUint32)
		answer := r.send(frame)
		if answer.Verdicts[0] != wire.Durable || len(answer.Downlinks) != 1 {
			t.Fatalf("verdict %v, %d downlinks", answer.Verdicts[0], len(answer.Downlinks))
		}
		refusal, err := m.record.Secret.OpenRegisterRefusal(m.id(), frame, answer.Downlinks[0].Frame)
		if err != nil || refusal.Time != r.clock.Now().Unix() {
			t.Errorf("told %d, %v", refusal.Time, err)
		}
	}
	r.clock.add(time.Minute)
	if answer := r.send(m.request(r.clock.Now().Unix())); answer.Verdicts[0] != wire.Durable || wire.Type(answer.Downlinks[0].Frame[0]) != wire.TypeRegistered {
		t.Errorf("with the time that it was told: %v", answer.Verdicts[0])
	}
}

// A refusal tells the utility's time under the request's nonce and accepts
// nothing: the same meter then registers with the time that it was told.
func TestRefusalTellsTheTime(t *testing.T) {
	r := enrolled(t, "a")
	m := r.newMeters(1)[0]
	request := wire.RegisterRequest{Time: 1234, Mu: m.user.Public(), Nonce: [16]byte{1, 2, 3}}
	frame := m.record.Secret.Register(m.id(), request)
	answer := r.send(frame)
	refusal, err := m.record.Secret.OpenRegisterRefusal(m.id(), frame, answer.Downlinks[0].Frame)
	must(t, err)
	if refusal.Nonce != request.Nonce || refusal.Time != start.Unix() {
		t.Errorf("refusal of nonce %x with time %d", refusal.Nonce, refusal.Time)
	}
	frame = m.request(refusal.Time)
	answer = r.send(frame)
	if answer.Verdicts[0] != wire.Durable {
		t.Fatal(answer.Verdicts[0])
	}
	m.open(frame, answer.Downlinks[0])
}

func TestAnotherUserValue(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	var err error
	m.user, err = clpke.NewUserKey()
	must(t, err)
	answer := r.send(m.request(m.next()))
	if answer.Verdicts[0] != wire.Never || len(answer.Downlinks) != 0 || r.Refused()[wire.Rebound] != 1 {
		t.Errorf("verdict %v, %d downlinks, counted %v", answer.Verdicts[0], len(answer.Downlinks), r.Refused())
	}
}

// Two requests of a meter in one post are two requests: the second has a later
// time and gets the same content.
func TestTwoRequestsInOnePost(t *testing.T) {
	r := enrolled(t, "a")
	m := r.newMeters(1)[0]
	first, second := m.request(m.next()), m.request(m.next())
	answer := r.send(first, second)
	if join(answer.Verdicts) != "durable durable" || len(answer.Downlinks) != 2 {
		t.Fatalf("%s, %d downlinks", join(answer.Verdicts), len(answer.Downlinks))
	}
	m.open(first, answer.Downlinks[0])
	d := m.answer.D
	m.open(second, answer.Downlinks[1])
	if m.answer.D != d {
		t.Error("two keys were issued")
	}
}

func TestRegistrationBeforeTheTTP(t *testing.T) {
	r := newRig(t, nil)
	r.addCollectors("a")
	m := r.newMeters(1)[0]
	request := m.request(m.next())
	if answer := r.send(request); answer.Verdicts[0] != wire.Later || len(answer.Downlinks) != 0 {
		t.Errorf("verdict %v, %d downlinks", answer.Verdicts[0], len(answer.Downlinks))
	}
	must(t, r.EnrolTTP(t.Context()))
	answer := r.send(request)
	if answer.Verdicts[0] != wire.Durable {
		t.Fatalf("after the TTP's enrolment: %v", answer.Verdicts[0])
	}
	m.open(request, answer.Downlinks[0])
}

// Registrations are answered, though the interval was sent on already.
func TestRegistrationInALatePost(t *testing.T) {
	r := enrolled(t, "a")
	m := r.newMeters(1)[0]
	_, err := r.post("a", 5)
	must(t, err)
	answer, err := r.post("a", 5, m.request(m.next()))
	must(t, err)
	if answer.Verdicts[0] != wire.Durable || len(answer.Downlinks) != 1 {
		t.Errorf("verdict %v, %d downlinks", answer.Verdicts[0], len(answer.Downlinks))
	}
}

// The registry is away: requests wait, and nothing is half done.
func TestRegistryFails(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	request, m1 := m.request(m.next()), m.m1(1, "M1")
	must(t, r.db.Close())
	r.interval++
	if _, err := r.post("a", r.interval, request, m1); err == nil {
		t.Error("a post is answered without a roster")
	}
	r.open()
	if answer := r.send(request, m1); join(answer.Verdicts) != "durable durable" {
		t.Errorf("after a restart: %v", join(answer.Verdicts))
	}
}

func TestRegistryHoldsNoSecret(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	var secret, partial []byte
	must(t, r.db.QueryRowContext(t.Context(), `SELECT secret FROM meters`).Scan(&secret))
	must(t, r.db.QueryRowContext(t.Context(), `SELECT partial_key FROM statements`).Scan(&partial))
	if bytes.Contains(secret, m.record.Secret.Bytes()) || bytes.Contains(partial, m.answer.D[:]) {
		t.Error("a secret is in the clear")
	}
	if strings.Contains(r.log.String(), string(m.record.Secret.Bytes())) {
		t.Error("the log holds the secret")
	}
}

// oneName draws one pseudonym for all meters until it is told otherwise.
type oneName struct{ next *atomic.Uint64 }

func (oneName) MeterID() wattveil.MeterID { return wattveil.MeterID(random64()) }

func (o oneName) Pseudonym(wattveil.MeterID) wattveil.Pseudonym {
	return wattveil.Pseudonym(o.next.Load())
}

// Requests share a commit. One that fails leaves nothing behind and keeps no
// other.
func TestOneRegistrationFails(t *testing.T) {
	names := oneName{next: new(atomic.Uint64)}
	r := newRig(t, func(cfg *Config) { cfg.Names = names })
	must(t, r.EnrolTTP(t.Context()))
	r.addCollectors("a")
	meters := r.newMeters(2)
	first, second := meters[0].request(start.Unix()), meters[1].request(start.Unix())
	answer := r.send(first, second)
	if join(answer.Verdicts) != "durable later" || len(answer.Downlinks) != 1 {
		t.Fatalf("%v, %d downlinks", join(answer.Verdicts), len(answer.Downlinks))
	}
	meters[0].open(first, answer.Downlinks[0])
	if n := r.count("meters WHERE mu IS NOT NULL OR last_time <> 0"); n != 1 {
		t.Errorf("%d meters are noted as registered", n)
	}
	names.next.Store(1)
	if answer = r.send(second); join(answer.Verdicts) != "durable" {
		t.Fatalf("the same request again: %v", join(answer.Verdicts))
	}
	meters[1].open(second, answer.Downlinks[0])
}

// More requests than share a commit are each answered.
func TestManyRegistrations(t *testing.T) {
	r := enrolled(t, "a")
	r.meters(registeredAtOnce + 7)
	if n, err := r.MeterCounts(t.Context()); err != nil || n.Registered != registeredAtOnce+7 {
		t.Errorf("%+v, %v", n, err)
	}
}

// Meters are given what they know collectors by if they are to call one over
// TLS, and not otherwise.
func TestRecordsOfMetersOverTLS(t *testing.T) {
	r := newRig(t, nil)
	for address, want := range map[string]bool{"mqtt://127.0.0.1:1883": false, "mqtts://127.0.0.1:8883": true} {
		records, err := r.AddMeters(t.Context(), 1, []string{address}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := records[0].Authority
		if (got != nil) != want || want && !got.Equal(r.authority.Certificate) {
			t.Errorf("%s: authority given: %v", address, got != nil)
		}
	}
	if _, err := r.AddMeters(t.Context(), 1, []string{"127.0.0.1:1883"}, nil); err == nil || !strings.Contains(err.Error(), "want mqtt://HOST:PORT") {
		t.Errorf("added a meter with a bad address: %v", err)
	}
}

// A record is given again, the same, until the meter has registered.
func TestRecordAgain(t *testing.T) {
	r := enrolled(t, "a")
	root := [32]byte{1}
	made, err := r.AddMeters(t.Context(), 2, []string{"mqtts://127.0.0.1:1"}, &root)
	must(t, err)
	want, err := made[0].Encode()
	must(t, err)
	again, err := r.RecordAgain(t.Context(), made[0].Meter, made[0].Collectors, &root)
	must(t, err)
	got, err := again.Encode()
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("the record given again is another one")
	}
	must(t, r.RetireMeter(t.Context(), made[1].Meter))
	registered := r.meters(1)[0]
	for what, test := range map[string]struct {
		id   wattveil.MeterID
		want wire.Class
	}{
		"registered": {registered.id(), wire.Rebound}, "retired": {made[1].Meter, wire.Rebound}, "not known": {1, wire.Unknown},
	} {
		if _, err := r.RecordAgain(t.Context(), test.id, made[0].Collectors, &root); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", what, err, test.want)
		}
	}
}
