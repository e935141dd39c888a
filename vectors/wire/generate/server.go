package main

import (
	"math"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

// spoiled are the ways in which each body of section 7 may break: good has a
// count of 4 bytes at a place.
func spoiled(good []byte, count int) []refused {
	n := good[count+3]
	return []refused{
		{"no bytes", []byte{}},
		{"version only", good[:1]},
		{"version 0", set(good, 0, 0)},
		{"version 2", set(good, 0, 2)},
		{"one byte short", good[:len(good)-1]},
		{"one byte long", join(good, 0)},
		{"count one too high", set(good, count+3, n+1)},
		{"count one too low", set(good, count+3, n-1)},
		{"greatest count", set(good, count, 0xff, 0xff, 0xff, 0xff)},
		{"count cut off", good[:count+3]},
	}
}

// frames are one of each frame that goes up.
func frames() [][]byte {
	block := plain.Block(quarter, run(1, quarter, start(), resting, resting))
	return [][]byte{
		dataKeys().Message(1, block),
		plain.Control(secret(), plain.M1, meterID(), 4, draw("R of M1", 16), m1Body()),
		plain.Control(secret(), plain.M3, meterID(), 4, draw("R of M3", 16), draw("M3 confirmation", 32)),
		request("typical", firstTime).Frame,
	}
}

func forwards() []vectors.Forward {
	build := func(name string, interval, roster uint64, frames [][]byte) vectors.Forward {
		return vectors.Forward{
			Name: name, Interval: interval, Roster: roster, Frames: hexes(frames), Body: plain.Forward(interval, roster, frames),
		}
	}
	good := build("one frame of each type", firstTime/quarter, 12, frames())
	list := []vectors.Forward{good, build("nothing", firstTime/quarter, 12, nil), build("first interval, no roster", 0, 0, frames()[:1])}
	bad := append(spoiled(good.Body, 17),
		refused{"a frame longer than the rest", set(good.Body, 21, 0xff, 0xff)},
		refused{"cut in the roster serial", good.Body[:16]})
	for _, b := range bad {
		list = append(list, vectors.Forward{Name: b.name, Class: malformed, Body: b.bytes})
	}
	return list
}

func forwardAnswers() []vectors.ForwardAnswer {
	_, kept := plain.LinkPassword(secret(), meterID(), "north.utility.example")
	notice := plain.Control(secret(), plain.Notice, meterID(), 4, draw("R of a notice", 16), nil)
	down := []plain.Downlink{{ID: meterID(), Frame: notice}, {ID: meterID(), Frame: answer("typical", 198, 201, 150).Frame}}
	changes := []plain.RosterEntry{{ID: meterID(), Hash: kept}, {ID: 1, Hash: make([]byte, 32)}}
	build := func(name string, verdicts []byte, down []plain.Downlink, roster uint64, changes []plain.RosterEntry) vectors.ForwardAnswer {
		v := vectors.ForwardAnswer{
			Name: name, Count: len(verdicts), Verdicts: verdicts, Roster: roster,
			Body: plain.ForwardAnswer(verdicts, down, roster, changes),
		}
		for _, d := range down {
			v.Downlinks = append(v.Downlinks, vectors.Downlink{ID: vectors.ID(d.ID), Frame: d.Frame})
		}
		for _, c := range changes {
			v.Changes = append(v.Changes, vectors.RosterEntry{ID: vectors.ID(c.ID), Hash: c.Hash})
		}
		return v
	}
	good := build("all", []byte{1, 2, 3, 4}, down, 14, changes)
	list := []vectors.ForwardAnswer{
		good, build("to nothing", nil, nil, 14, nil), build("verdicts only", []byte{1, 1, 1}, nil, 14, nil),
		build("a meter is removed", nil, nil, math.MaxUint32, changes[1:]),
	}
	add := func(count int, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.ForwardAnswer{Name: b.name, Class: malformed, Count: count, Body: b.bytes})
		}
	}
	downlinks := 1 + 4 + 4
	roster := len(good.Body) - 2*40 - 4
	add(4, spoiled(good.Body, 1)...)
	add(4, verdictsRefused(good.Body, 5)...)
	add(4,
		refused{"one downlink too many counted", set(good.Body, downlinks+3, 3)},
		refused{"greatest downlink count", set(good.Body, downlinks, 0xff, 0xff, 0xff, 0xff)},
		refused{"a downlink longer than the rest", set(good.Body, downlinks+12, 0xff, 0xff)},
		refused{"one roster entry too many counted", set(good.Body, roster+3, 3)},
		refused{"greatest roster count", set(good.Body, roster, 0xff, 0xff, 0xff, 0xff)})
	add(5, refused{"answers four of five frames", good.Body})
	add(3, refused{"answers four of three frames", good.Body})
	return list
}

// verdictsRefused sets the verdict at a place to each kind of byte that is none.
func verdictsRefused(good []byte, at int) []refused {
	return []refused{
		{"verdict 0", set(good, at, 0)}, {"verdict 5", set(good, at, 5)},
		{"verdict 128 and a true one", set(good, at, 0x81)}, {"verdict 255", set(good, at, 0xff)},
	}
}

func messages() []vectors.Messages {
	k := dataKeys()
	var list [][]byte
	for i, s := range accepted()[:3] {
		list = append(list, k.ForTTP(k.Message(uint32(i), plain.Block(s.interval, s.readings))))
	}
	good := vectors.Messages{Name: "three messages", Messages: hexes(list), Body: plain.Messages(list)}
	out := []vectors.Messages{good, {Name: "no message", Body: plain.Messages(nil)}}
	for _, b := range append(spoiled(good.Body, 1), refused{"a message longer than the rest", set(good.Body, 5, 0xff)}) {
		out = append(out, vectors.Messages{Name: b.name, Class: malformed, Body: b.bytes})
	}
	return out
}

func verdicts() []vectors.Verdicts {
	build := func(name string, verdicts []byte, receipts ...plain.PassedReceipt) vectors.Verdicts {
		v := vectors.Verdicts{Name: name, Count: len(verdicts), Verdicts: verdicts, Body: plain.Verdicts(verdicts, receipts)}
		for _, r := range receipts {
			v.Receipts = append(v.Receipts, vectors.PassedReceipt{AnID: vectors.ID(r.AnID), Low: r.Low, Body: r.Body})
		}
		return v
	}
	all := []byte{1, 2, 3, 4}
	one := plain.PassedReceipt{AnID: pseudonym(), Low: 4, Body: receipts()[0].Body}
	two := plain.PassedReceipt{AnID: pseudonym() + 1, Low: 255, Body: draw("another receipt", 148)}
	good := build("each verdict and two receipts", all, one, two)
	list := []vectors.Verdicts{good, build("each verdict", all), build("none", nil)}
	add := func(count int, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.Verdicts{Name: b.name, Class: malformed, Count: count, Body: b.bytes})
		}
	}
	const counted = 1 + 4 + 4 // where the receipts are
	add(4, spoiled(good.Body, 1)...)
	add(4, verdictsRefused(good.Body, 8)...)
	add(4,
		refused{"one receipt too many counted", set(good.Body, counted+3, 3)},
		refused{"one receipt too few counted", set(good.Body, counted+3, 1)},
		refused{"greatest receipt count", set(good.Body, counted, 0xff, 0xff, 0xff, 0xff)},
		refused{"one an-ID twice", build("", all, one, one).Body},
		refused{"an-IDs that fall", build("", all, two, one).Body})
	add(1, refused{"more receipts than messages", build("", all[:1], one, two).Body})
	add(5, refused{"answers four of five", good.Body})
	add(3, refused{"answers four of three", good.Body})
	return list
}

func exchanges() []vectors.Exchanges {
	requests := []plain.ExchangeRequest{
		{Type: plain.M1, AnID: pseudonym(), Low: 4, Body: m1Body()},
		{Type: plain.M3, AnID: pseudonym() + 1, Low: 255, Body: draw("M3 confirmation", 32)},
	}
	good := vectors.Exchanges{Name: "M1 and M3", Body: plain.Exchanges(requests)}
	for _, r := range requests {
		good.Requests = append(good.Requests, vectors.ExchangeRequest{Type: r.Type, AnID: vectors.ID(r.AnID), Low: r.Low, Body: r.Body})
	}
	list := []vectors.Exchanges{good, {Name: "none", Body: plain.Exchanges(nil)}}
	bad := append(spoiled(good.Body, 1),
		refused{"type of a data message", set(good.Body, 5, plain.Data)},
		refused{"type of an M2", set(good.Body, 5, plain.M2)},
		refused{"type of a registration request", set(good.Body, 5, plain.Request)},
		refused{"a body longer than the rest", set(good.Body, 15, 0xff)})
	for _, b := range bad {
		list = append(list, vectors.Exchanges{Name: b.name, Class: malformed, Body: b.bytes})
	}
	return list
}

func exchangeAnswers() []vectors.ExchangeAnswers {
	given := []plain.ExchangeAnswer{
		{Verdict: 1, M2: join(m2Ciphertext(), draw("M2 confirmation", 32)...)}, {Verdict: 1}, {Verdict: 2}, {Verdict: 4},
	}
	good := vectors.ExchangeAnswers{Name: "M2 and verdicts", Count: len(given), Body: plain.ExchangeAnswers(given)}
	for _, a := range given {
		good.Answers = append(good.Answers, vectors.ExchangeAnswer{Verdict: a.Verdict, M2: a.M2})
	}
	list := []vectors.ExchangeAnswers{good, {Name: "none", Body: plain.ExchangeAnswers(nil)}}
	add := func(count int, bad ...refused) {
		for _, b := range bad {
			list = append(list, vectors.ExchangeAnswers{Name: b.name, Class: malformed, Count: count, Body: b.bytes})
		}
	}
	add(4, spoiled(good.Body, 1)...)
	add(4, verdictsRefused(good.Body, 5)...)
	add(4, refused{"an M2 longer than the rest", set(good.Body, 6, 0xff)})
	add(3, refused{"four answers to three", good.Body})
	add(5, refused{"four answers to five", good.Body})
	return list
}
