package main

import (
	"math"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

func mu() []byte { return plain.Point(draw("z", 32)) }

// request is a registration request under a name that its draws depend on.
func request(name string, time uint64) vectors.RegisterRequest {
	v := vectors.RegisterRequest{
		Name: name, Secret: secret(), ID: vectors.ID(meterID()), R: draw(name+" R", 16),
		Nonce: draw(name+" nonce", 16), Time: time, Mu: mu(),
	}
	v.Content = plain.RegisterContent(v.Nonce, time, v.Mu)
	v.Frame = plain.Seal(v.Secret, plain.Request, uint64(v.ID), v.R, v.Content, nil)
	v.Key, v.KeyNonce, _ = plain.OneTime(v.Secret, v.R, plain.Request, uint64(v.ID))
	return v
}

func registerRequests() []vectors.RegisterRequest {
	good := request("typical", firstTime)
	list := []vectors.RegisterRequest{good, request("clock at zero", 0), request("last time", math.MaxInt64)}
	id, r := meterID(), good.R
	seal := func(content []byte) []byte { return plain.Seal(secret(), plain.Request, id, r, content, nil) }
	add := func(class string, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.RegisterRequest{
				Name: b.name, Class: class, Secret: secret(), ID: vectors.ID(id), Frame: b.bytes,
			})
		}
	}
	add(malformed,
		refused{"no bytes", []byte{}},
		refused{"one byte short", good.Frame[:98]},
		refused{"one byte long", join(good.Frame, 0)},
		refused{"the frame of another meter", flip(good.Frame, 8, 1)},
		refused{"the type of an M1", set(good.Frame, 0, plain.M1)},
		refused{"kind 0", seal(set(good.Content, 0, 0))},
		refused{"kind 2", seal(set(good.Content, 0, 2))},
		refused{"time of 2^63", seal(set(good.Content, 17, 0x80))},
	)
	add(forged,
		refused{"another R", flip(good.Frame, 9, 1)},
		refused{"another ciphertext", flip(good.Frame, 25, 1)},
		refused{"another GCM tag", flip(good.Frame, -1, 1)},
		refused{"another secret", plain.Seal(draw("another S_SM-UC", 16), plain.Request, id, r, good.Content, nil)},
		refused{"sealed for another meter", set(plain.Seal(secret(), plain.Request, id+1, r, good.Content, nil), 1, good.Frame[1:9]...)},
		refused{"sealed with a request bound in", plain.Seal(secret(), plain.Request, id, r, good.Content, good.Frame)},
	)
	return list
}

// answer is a registration answer with statements of these lengths.
func answer(name string, meter, ttp, root int) vectors.RegisterAnswer {
	v := vectors.RegisterAnswer{
		Name: name, Secret: secret(), ID: vectors.ID(meterID()), Request: request("typical", firstTime).Frame,
		R: draw(name+" R", 16), AnID: vectors.ID(pseudonym()), UC: utility, EpochBase: 0x01020300, Time: firstTime + 3,
		D: draw("d", 32), RootKey: plain.Point(draw("root", 32)),
		Statement: draw("statement", meter), TTPStatement: draw("TTP statement", ttp), Root: draw("root statement", root),
	}
	v.Content = plain.AnswerContent(uint64(v.AnID), v.UC, v.EpochBase, v.Time, v.D, v.RootKey, v.Statement, v.TTPStatement, v.Root)
	v.Frame = plain.Seal(v.Secret, plain.Registered, uint64(v.ID), v.R, v.Content, v.Request)
	return v
}

func registerAnswers() []vectors.RegisterAnswer {
	good := answer("typical", 198, 201, 150)
	list := []vectors.RegisterAnswer{good, answer("empty statements", 0, 0, 0), answer("longest frame", 198, 4096-136-198-150, 150)}
	id, asked := meterID(), []byte(good.Request)
	seal := func(content []byte) []byte {
		return plain.Seal(secret(), plain.Registered, id, good.R, content, asked)
	}
	add := func(class string, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.RegisterAnswer{
				Name: b.name, Class: class, Secret: secret(), ID: vectors.ID(id), Request: asked, Frame: b.bytes,
			})
		}
	}
	empty := list[1].Content
	add(malformed,
		refused{"no bytes", []byte{}},
		refused{"a byte short of the fixed content", list[1].Frame[:135]},
		refused{"one byte too long for a frame", seal(answer("", 198, 4096-136-198-150+1, 150).Content)},
		refused{"the frame of another meter", flip(good.Frame, 8, 1)},
		refused{"the type of an M2", set(good.Frame, 0, plain.M2)},
		refused{"a byte after the content", seal(join(good.Content, 0))},
		refused{"the last statement one byte short", seal(good.Content[:len(good.Content)-1])},
		refused{"a statement longer than the rest", seal(set(empty, 89, 0xff, 0xff))},
		refused{"no length of the last statement", seal(join(set(empty[:93], 90, 1), 0))},
		refused{"time of 2^63", seal(set(good.Content, 16, 0x80))},
	)
	other := request("another request", firstTime)
	add(forged,
		refused{"answer to another request", plain.Seal(secret(), plain.Registered, id, good.R, good.Content, other.Frame)},
		refused{"no request bound in", plain.Seal(secret(), plain.Registered, id, good.R, good.Content, nil)},
		refused{"another R", flip(good.Frame, 24, 1)},
		refused{"another ciphertext", flip(good.Frame, 25, 1)},
		refused{"another GCM tag", flip(good.Frame, -16, 0x80)},
		refused{"one byte short", good.Frame[:len(good.Frame)-1]},
		refused{"another secret", plain.Seal(draw("another S_SM-UC", 16), plain.Registered, id, good.R, good.Content, asked)},
		refused{"sealed as a request", set(plain.Seal(secret(), plain.Request, id, good.R, good.Content, asked), 0, plain.Registered)},
	)
	return list
}

func registerRefusals() []vectors.RegisterRefusal {
	asked := request("typical", firstTime)
	id, r := meterID(), draw("refusal R", 16)
	good := vectors.RegisterRefusal{
		Name: "stale", Secret: secret(), ID: vectors.ID(id), Request: asked.Frame, R: r,
		Nonce: asked.Nonce, Time: firstTime + 86401, Content: plain.RefusalContent(asked.Nonce, firstTime+86401, 1),
	}
	seal := func(content []byte) []byte {
		return plain.Seal(secret(), plain.Refused, id, r, content, asked.Frame)
	}
	good.Frame = seal(good.Content)
	list := []vectors.RegisterRefusal{good}
	add := func(class string, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.RegisterRefusal{
				Name: b.name, Class: class, Secret: secret(), ID: vectors.ID(id), Request: asked.Frame, Frame: b.bytes,
			})
		}
	}
	add(malformed,
		refused{"no bytes", []byte{}},
		refused{"one byte short", good.Frame[:65]},
		refused{"one byte long", join(good.Frame, 0)},
		refused{"the frame of another meter", flip(good.Frame, 8, 1)},
		refused{"reason 0", seal(set(good.Content, 24, 0))},
		refused{"reason 2", seal(set(good.Content, 24, 2))},
		refused{"time of 2^63", seal(set(good.Content, 16, 0x80))},
	)
	other := request("another request", firstTime)
	add(forged,
		refused{"refusal of another request", plain.Seal(secret(), plain.Refused, id, r, good.Content, other.Frame)},
		refused{"another R", flip(good.Frame, 9, 1)},
		refused{"another ciphertext", flip(good.Frame, 49, 1)},
		refused{"another GCM tag", flip(good.Frame, -1, 1)},
	)
	return list
}

func linkPasswords() []vectors.LinkPassword {
	var list []vectors.LinkPassword
	for _, v := range []vectors.LinkPassword{
		{Name: "typical", ID: vectors.ID(meterID()), Domain: "north.utility.example"},
		{Name: "another domain of the same meter", ID: vectors.ID(meterID()), Domain: "south.utility.example"},
		{Name: "another meter with the same secret", ID: 1, Domain: "north.utility.example"},
		{Name: "no domain", ID: vectors.ID(meterID()), Domain: ""},
	} {
		v.Secret = secret()
		v.Password, v.Hash = linkPassword(v)
		list = append(list, v)
	}
	return list
}

func linkPassword(v vectors.LinkPassword) (string, vectors.Hex) {
	password, hash := plain.LinkPassword(v.Secret, uint64(v.ID), v.Domain)
	return password, hash
}
