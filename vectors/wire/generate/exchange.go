package main

import (
	"encoding/binary"
	"math"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

const (
	epoch = 0x01020304
	week  = 7 * 24 * 3600
)

// The bodies of M1 and M2 stand for ciphertexts of spec/clpke.md, which are 65
// bytes longer than their plaintexts.
func m1Body() []byte       { return draw("M1 body", 64+65) }
func m2Ciphertext() []byte { return draw("M2 ciphertext", 80+65) }

func offer(name string, pinned bool, suites []byte, epoch, chain, older uint32) vectors.Offer {
	v := vectors.Offer{
		Name: name, Pinned: pinned, Suites: suites, N: draw("N", 16), E: plain.Point(draw("e", 32)),
		Epoch: epoch, Chain: chain, Older: older,
	}
	v.Plaintext = plain.Offer(pinned, suites, v.N, v.E, epoch, chain, older)
	return v
}

func offers() []vectors.Offer {
	aes := []byte{1}
	good := offer("first contact", false, aes, epoch, 0, 0)
	list := []vectors.Offer{
		good,
		offer("pinned", true, aes, epoch, 0, 0),
		offer("one chain epoch", false, aes, epoch, epoch-1, 0),
		offer("two chain epochs", true, aes, epoch, epoch-1, epoch-5),
		offer("eight suites", false, []byte{1, 2, 3, 4, 5, 6, 7, 255}, epoch, 0, 0),
		offer("least epoch", false, aes, 1, 0, 0),
		offer("greatest epochs", false, aes, math.MaxUint32, math.MaxUint32-1, math.MaxUint32-2),
	}
	with := func(suites []byte, epoch, chain, older uint32) []byte {
		return offer("", false, suites, epoch, chain, older).Plaintext
	}
	for _, b := range []refused{
		{"no bytes", []byte{}},
		{"one byte short", good.Plaintext[:len(good.Plaintext)-1]},
		{"one byte long", join(good.Plaintext, 0)},
		{"request 0", set(good.Plaintext, 0, 0)},
		{"request 2", set(good.Plaintext, 0, 2)},
		{"request 1 with a bit that has no meaning", set(good.Plaintext, 0, 0x41)},
		{"no suites", with(nil, epoch, 0, 0)},
		{"nine suites", with([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, epoch, 0, 0)},
		{"more suites counted than there are", set(good.Plaintext, 1, 2)},
		{"one suite twice", with([]byte{1, 1}, epoch, 0, 0)},
		{"suites that fall", with([]byte{2, 1}, epoch, 0, 0)},
		{"epoch 0", with(aes, 0, 0, 0)},
		{"chain epoch is the epoch", with(aes, epoch, epoch, 0)},
		{"chain epoch above the epoch", with(aes, epoch, epoch+1, 0)},
		{"chain epochs equal", with(aes, epoch, epoch-1, epoch-1)},
		{"chain epochs that rise", with(aes, epoch, epoch-2, epoch-1)},
		{"an older chain epoch without a newer one", with(aes, epoch, 0, epoch-1)},
	} {
		list = append(list, vectors.Offer{Name: b.name, Class: malformed, Plaintext: b.bytes})
	}
	return list
}

func answers() []vectors.Answer {
	build := func(name string, epoch, lifetime, chain uint32, suite byte) vectors.Answer {
		v := vectors.Answer{
			Name: name, S: draw("S", 16), N: draw("N", 16), F: plain.Point(draw("f", 32)),
			Epoch: epoch, Lifetime: lifetime, Chain: chain, Suite: suite,
		}
		v.Plaintext = plain.Answer(v.S, v.N, v.F, epoch, lifetime, chain, suite)
		return v
	}
	good := build("first contact", epoch, week, 0, 1)
	list := []vectors.Answer{good, build("chained", epoch, week, epoch-1, 1), build("greatest values", math.MaxUint32, math.MaxUint32, math.MaxUint32-1, 255)}
	for _, b := range []refused{
		{"no bytes", []byte{}},
		{"one byte short", good.Plaintext[:79]},
		{"one byte long", join(good.Plaintext, 0)},
		{"first reserved byte set", set(good.Plaintext, 78, 1)},
		{"second reserved byte set", set(good.Plaintext, 79, 1)},
	} {
		list = append(list, vectors.Answer{Name: b.name, Class: malformed, Plaintext: b.bytes})
	}
	return list
}

func controls() []vectors.Control {
	var list []vectors.Control
	build := func(name string, kind, low byte, body []byte) vectors.Control {
		v := vectors.Control{
			Name: name, Secret: secret(), ID: vectors.ID(meterID()), Type: kind, Low: low, R: draw(name+" R", 16), Body: body,
		}
		_, _, v.MACKey = plain.OneTime(v.Secret, v.R, kind, uint64(v.ID))
		v.Frame = plain.Control(v.Secret, kind, uint64(v.ID), low, v.R, body)
		list = append(list, v)
		return v
	}
	m1 := build("M1", plain.M1, 4, m1Body())
	build("M1, low byte 0", plain.M1, 0, m1Body())
	build("M1, least body", plain.M1, 255, []byte{0})
	m2 := build("M2", plain.M2, 4, join(m2Ciphertext(), draw("M2 confirmation", 32)...))
	m3 := build("M3", plain.M3, 4, draw("M3 confirmation", 32))
	notice := build("rekey notice", plain.Notice, 4, nil)
	receipt := build("receipt", plain.Receipt, 4, receipts()[0].Body)
	move := build("move notice", plain.Move, 0, moveTime(firstTime))
	build("move notice, last quarter of an hour", plain.Move, 0, moveTime(math.MaxUint32/quarter*quarter))
	for _, good := range []vectors.Control{m1, m2, m3, notice, receipt, move} {
		list = append(list, refusedControls(good)...)
	}
	long := plain.Control(secret(), plain.M1, meterID(), 4, m1.R, draw("long body", 4097-26-16))
	for _, b := range []struct {
		name  string
		kind  byte
		frame []byte
	}{
		{"M1: no body", plain.M1, plain.Control(secret(), plain.M1, meterID(), 4, m1.R, nil)},
		{"M1: longer than a frame may be", plain.M1, long},
		{"M2: no body", plain.M2, plain.Control(secret(), plain.M2, meterID(), 4, m1.R, nil)},
		{"M3: one byte short", plain.M3, m3.Frame[:73]},
		{"M3: one byte long", plain.M3, join(m3.Frame, 0)},
		{"rekey notice: with a body", plain.Notice, plain.Control(secret(), plain.Notice, meterID(), 4, m1.R, []byte{0})},
		{"receipt: one byte short", plain.Receipt, receipt.Frame[:189]},
		{"receipt: one byte long", plain.Receipt, join(receipt.Frame, 0)},
		{"move notice: one byte short", plain.Move, move.Frame[:49]},
		{"move notice: one byte long", plain.Move, join(move.Frame, 0)},
		{"move notice: with a low byte", plain.Move, plain.Control(secret(), plain.Move, meterID(), 1, m1.R, moveTime(firstTime))},
		{"move notice: time 0", plain.Move, plain.Control(secret(), plain.Move, meterID(), 0, m1.R, moveTime(0))},
		{"move notice: no whole quarter of an hour", plain.Move, plain.Control(secret(), plain.Move, meterID(), 0, m1.R, moveTime(firstTime+1))},
		{"move notice: after the last time", plain.Move, plain.Control(secret(), plain.Move, meterID(), 0, m1.R, moveTime(1<<32/quarter*quarter+quarter))},
		{"data message in the place of an M1", plain.M1, dataKeys().Message(1, make([]byte, 24))},
	} {
		list = append(list, vectors.Control{
			Name: b.name, Class: malformed, Secret: secret(), ID: vectors.ID(meterID()), Type: b.kind, Frame: b.frame,
		})
	}
	return list
}

func moveTime(at uint64) []byte { return binary.BigEndian.AppendUint64(nil, at) }

// refusedControls spoils each part of a frame.
func refusedControls(good vectors.Control) []vectors.Control {
	id := uint64(good.ID)
	bad := func(what, class string, frame []byte) vectors.Control {
		return vectors.Control{Name: good.Name + ": " + what, Class: class, Secret: secret(), ID: good.ID, Type: good.Type, Frame: frame}
	}
	seal := func(secret []byte, kind byte, id uint64) []byte {
		frame := plain.Control(secret, kind, id, good.Low, good.R, good.Body)
		return set(frame, 0, good.Frame[:9]...)
	}
	list := []vectors.Control{
		bad("another meter", malformed, flip(good.Frame, 8, 1)),
		bad("another low byte", forged, flip(good.Frame, 9, 1)),
		bad("another R", forged, flip(good.Frame, 10, 1)),
		bad("another UC tag", forged, flip(good.Frame, -1, 1)),
		bad("under another secret", forged, seal(draw("another S_SM-UC", 16), good.Type, id)),
		bad("under the keys of another meter", forged, seal(secret(), good.Type, id+1)),
		bad("under the keys of another type", forged, seal(secret(), good.Type^1, id)),
		bad("under the keys of the other direction", forged, seal(secret(), good.Type^0x40, id)),
	}
	if len(good.Body) > 0 {
		list = append(list, bad("another body", forged, flip(good.Frame, 26, 1)))
	}
	return list
}

func sessions() []vectors.Session {
	chainKey := draw("k_chain", 32)
	return []vectors.Session{
		session("first contact", []byte{1}, 0, make([]byte, 32)),
		session("chained", []byte{1}, epoch-1, chainKey),
		session("chained, two suites offered", []byte{1, 2}, epoch-1, chainKey),
	}
}

func session(name string, suites []byte, chain uint32, chainKey []byte) vectors.Session {
	v := vectors.Session{
		Name: name, LowerE: draw("e", 32), LowerF: draw("f", 32), N: draw("N", 16), S: draw("S", 16), ChainKey: chainKey,
		Suites: suites, Suite: 1, UC: utility, Master: plain.Point(draw("x", 32)), AnID: vectors.ID(pseudonym()),
		Statement: draw("statement", 198), TTPStatement: draw("TTP statement", 201),
		M1: m1Body(), M2: m2Ciphertext(), Epoch: epoch, Lifetime: week, Chain: chain,
	}
	v.E, v.F = plain.Point(v.LowerE), plain.Point(v.LowerF)
	v.Shared, _ = plain.SharedX(v.LowerE, v.F)
	v.T = plain.Transcript{
		Suites: v.Suites, Suite: v.Suite, UC: v.UC, Master: v.Master, AnID: uint64(v.AnID),
		MeterStatement: v.Statement, TTPStatement: v.TTPStatement, M1: v.M1, M2: v.M2,
		Epoch: v.Epoch, Lifetime: v.Lifetime, Chain: v.Chain,
	}.T()
	v.Keys = plain.SessionKeys(v.N, v.S, v.Shared, v.ChainKey, v.T)
	v.ConfirmT = plain.HMAC(v.Keys[56:88], v.T)
	v.ConfirmM = plain.HMAC(v.Keys[88:120], v.T)
	return v
}
