package main

import (
	"math"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

const (
	hour = 3600
	day  = 24 * hour
)

func downKeys() plain.DataKeys {
	return plain.DataKeys{
		AnID: pseudonym(), UC: utility, Epoch: epoch, Key: draw("k_down", 16), Salt: draw("salt_down", 12),
	}
}

// receiptOf is a vector without what is in the receipt.
func receiptOf(name, class string, body []byte) vectors.Receipt {
	k := downKeys()
	return vectors.Receipt{
		Name: name, Class: class, UC: k.UC, AnID: vectors.ID(k.AnID), Epoch: k.Epoch, Key: k.Key, Salt: k.Salt, Body: body,
	}
}

func receipt(name string, counter, time, from, through uint32, missing ...plain.Span) vectors.Receipt {
	return takeover(name, 0, counter, time, from, through, missing...)
}

// takeover is a receipt that tells how many hours a takeover still waits.
func takeover(name string, hours uint16, counter, time, from, through uint32, missing ...plain.Span) vectors.Receipt {
	text := plain.ReceiptText(hours, time, from, through, missing)
	v := receiptOf(name, "", downKeys().ReceiptBody(counter, text))
	v.Counter, v.Nonce, v.AAD, v.Plaintext = counter, plain.Nonce(v.Salt, counter), downKeys().ReceiptAAD(counter), text
	v.Takeover, v.Time, v.From, v.Through = hours, time, from, through
	for _, s := range missing {
		v.Missing = append(v.Missing, vectors.Span(s))
	}
	return v
}

// spans are n missing spans of three quarters of an hour, a day apart.
func spans(n int) []plain.Span {
	list := make([]plain.Span, n)
	for i := range list {
		first := uint32(firstTime + i*day + 1)
		list[i] = plain.Span{First: first, Last: first + 4*quarter - 2}
	}
	return list
}

func receipts() []vectors.Receipt {
	const now = firstTime + 20*day + hour
	const newest = firstTime + 20*day
	typical := receipt("two spans missing", 3, now, firstTime, newest, spans(2)...)
	list := []vectors.Receipt{
		receipt("nothing missing", 1, now, firstTime, newest),
		typical,
		receipt("fourteen spans missing", 2, now, firstTime, newest, spans(14)...),
		receipt("one reading", 1, now, newest, newest),
		receipt("one second missing", 1, now, firstTime, firstTime+2, plain.Span{First: firstTime, Last: firstTime + 1}),
		receipt("spans as near as they may be", 1, now, firstTime, newest,
			plain.Span{First: firstTime, Last: firstTime}, plain.Span{First: firstTime + 2, Last: newest - 1}),
		takeover("a takeover that has just begun", 168, 4, now, firstTime, newest),
		takeover("a takeover within the hour, and a span missing", 1, 5, now, firstTime, newest, spans(1)...),
		receipt("greatest values", math.MaxUint32, math.MaxUint32, math.MaxUint32-1, math.MaxUint32),
	}
	add := func(class string, bad ...refused) {
		for _, b := range bad {
			list = append(list, receiptOf(b.name, class, b.bytes))
		}
	}
	seal := func(text []byte) []byte { return downKeys().ReceiptBody(3, text) }
	for _, b := range badReceiptTexts(typical.Plaintext, now, newest) {
		add(malformed, refused{b.name, seal(b.bytes)})
	}
	add(malformed,
		refused{"no bytes", []byte{}},
		refused{"body one byte short", typical.Body[:147]},
		refused{"body one byte long", join(typical.Body, 0)})
	add(forged,
		refused{"another counter", flip(typical.Body, 3, 1)},
		refused{"another ciphertext", flip(typical.Body, 4, 1)},
		refused{"another tag", flip(typical.Body, -1, 1)})
	for _, other := range []struct {
		name   string
		change func(*plain.DataKeys)
	}{
		{"of another utility", func(k *plain.DataKeys) { k.UC++ }},
		{"of another pseudonym", func(k *plain.DataKeys) { k.AnID++ }},
		{"of another epoch", func(k *plain.DataKeys) { k.Epoch += 256 }},
		{"under another key", func(k *plain.DataKeys) { k.Key = draw("another k_down", 16) }},
		{"under another salt", func(k *plain.DataKeys) { k.Salt = draw("another salt_down", 12) }},
	} {
		k := downKeys()
		other.change(&k)
		add(forged, refused{other.name, k.ReceiptBody(3, typical.Plaintext)})
	}
	return list
}

// badReceiptTexts spoils each field of a plaintext with two spans.
func badReceiptTexts(good []byte, now, newest uint32) []refused {
	text := func(from, through uint32, missing ...plain.Span) []byte {
		return plain.ReceiptText(0, now, from, through, missing)
	}
	s := spans(2)
	return []refused{
		{"version 0", set(good, 0, 0)},
		{"version 2", set(good, 0, 0x20)},
		{"a flag", set(good, 0, 0x11)},
		{"fifteen spans", set(good, 1, 15)},
		{"fewer spans counted than there are", set(good, 1, 1)},
		{"more spans counted than there are", set(good, 1, 3)},
		{"a takeover that waits for more than 7 days", set(good, 3, 169)},
		{"a takeover that waits for ever", set(good, 2, 0xff, 0xff)},
		{"last byte set", set(good, 127, 1)},
		{"from after through", text(newest+1, newest)},
		{"a span before from", text(s[0].First+1, newest, s...)},
		{"a span that ends with through", text(firstTime, s[1].Last, s...)},
		{"a span that ends before it begins", text(firstTime, newest, plain.Span{First: s[0].Last, Last: s[0].First})},
		{"spans that fall", text(firstTime, newest, s[1], s[0])},
		{"spans that overlap", text(firstTime, newest, s[0], plain.Span{First: s[0].Last, Last: s[1].Last})},
		{"spans that touch", text(firstTime, newest, s[0], plain.Span{First: s[0].Last + 1, Last: s[1].Last})},
	}
}
