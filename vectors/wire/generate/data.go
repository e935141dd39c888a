package main

import (
	"encoding/binary"
	"math"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

const (
	quarter   = 900        // seconds
	firstTime = 1767225600 // 2026-01-01 00:00 UTC
	lastWh    = 1<<40 - 1
	clock     = 1 << 0
	restart   = 1 << 1
)

// load says how far a register goes in the i-th interval.
type load func(i int) uint64

func resting(int) uint64  { return 0 }
func greatest(int) uint64 { return math.MaxUint16 }
func household(i int) uint64 {
	return 40 + uint64(binary.BigEndian.Uint16(draw("household", 2*i+2)[2*i:]))%900
}

// sun is a parabola over the quarters from 6 to 18 o'clock.
func sun(i int) uint64 {
	quarter := i % 96
	return uint64(max(0, 600*(quarter-24)*(72-quarter)/576))
}

// run is n readings from a time and registers on.
func run(n int, interval uint32, first plain.Reading, imported, exported load) []plain.Reading {
	readings := []plain.Reading{first}
	for i := 1; i < n; i++ {
		r := readings[i-1]
		r.Time += interval
		r.Import = (r.Import + imported(i)) & lastWh
		r.Export = (r.Export + exported(i)) & lastWh
		readings = append(readings, r)
	}
	return readings
}

func start() plain.Reading {
	registers := binary.BigEndian.Uint64(draw("registers", 8))
	return plain.Reading{Time: firstTime, Import: registers >> 24, Export: registers & (1<<36 - 1)}
}

// withStatus sets the status of a reading and of all after it, for each pair
// of index and status.
func withStatus(readings []plain.Reading, changes ...[2]int) []plain.Reading {
	for _, c := range changes {
		for i := c[0]; i < len(readings); i++ {
			readings[i].Status = uint16(c[1])
		}
	}
	return readings
}

// series is a named list of readings.
type series struct {
	name     string
	interval int
	readings []plain.Reading
}

func accepted() []series {
	zero := plain.Reading{Time: firstTime}
	full := plain.Reading{Time: math.MaxUint32, Import: lastWh, Export: lastWh, Status: math.MaxUint16}
	edge := plain.Reading{Time: firstTime, Import: lastWh - 100, Export: lastWh}
	late := plain.Reading{Time: math.MaxUint32 - 3600}
	one := func(int) uint64 { return 1 }
	typical := func(n int) []plain.Reading { return run(n, quarter, start(), household, sun) }
	return []series{
		{"1 reading, nothing ever measured", quarter, run(1, quarter, zero, resting, resting)},
		{"1 reading, typical", quarter, typical(1)},
		{"1 reading, greatest values", quarter, run(1, quarter, full, resting, resting)},
		{"2 readings", quarter, typical(2)},
		{"7 readings", quarter, typical(7)},
		{"96 readings, no load", quarter, run(96, quarter, zero, resting, resting)},
		{"96 readings, typical", quarter, typical(96)},
		{"96 readings, greatest load", quarter, run(96, quarter, start(), greatest, greatest)},
		{"254 readings", quarter, typical(254)},
		{"255 readings", quarter, typical(255)},
		{"255 readings, a second apart", 1, run(255, 1, start(), one, resting)},
		{"2 readings to the last time, an hour apart", 3600, run(2, 3600, late, household, resting)},
		{"both registers roll over", quarter, run(4, quarter, edge, household, one)},
		{"status from the first reading on", quarter, withStatus(typical(7), [2]int{0, clock})},
		{"status changes at the last of 7", quarter, withStatus(typical(7), [2]int{6, restart})},
		{"status changes and changes back", quarter, withStatus(typical(96), [2]int{0, clock}, [2]int{40, clock | restart}, [2]int{41, 0})},
		{"status changes at the last of 255", quarter, withStatus(typical(255), [2]int{254, 0x8000})},
		{"status runs fill the block", quarter, withStatus(typical(9),
			[2]int{1, 1}, [2]int{2, 2}, [2]int{3, 3}, [2]int{4, 4}, [2]int{5, 5}, [2]int{6, 6}, [2]int{8, 0xffff})},
	}
}

func blocks() []vectors.Block {
	var list []vectors.Block
	for _, s := range accepted() {
		v := vectors.Block{Name: s.name, Interval: s.interval, Block: plain.Block(s.interval, s.readings)}
		for _, r := range s.readings {
			v.Readings = append(v.Readings, vectors.Reading(r))
		}
		list = append(list, v)
	}
	for _, bad := range refusedBlocks() {
		list = append(list, vectors.Block{Name: bad.name, Class: malformed, Block: bad.bytes})
	}
	return list
}

// refused is bytes that are refused, with the reason as their name.
type refused struct {
	name  string
	bytes []byte
}

func refusedBlocks() []refused {
	one := plain.Block(quarter, run(1, quarter, start(), resting, resting))
	seven := plain.Block(quarter, run(7, quarter, start(), household, sun))
	nine := plain.Block(quarter, run(9, quarter, start(), household, sun))
	runs := 19 + 4*8 // of nine readings
	late := run(2, quarter, plain.Reading{Time: math.MaxUint32 - quarter}, resting, resting)
	return []refused{
		{"no bytes", nil},
		{"18 bytes", one[:18]},
		{"version 0", set(one, 0, 0x00)},
		{"version 2", set(one, 0, 0x20)},
		{"a flag", set(one, 0, 0x11)},
		{"interval code 0", set(one, 1, 0)},
		{"interval code 46", set(one, 1, 46)},
		{"no readings", set(one, 2, 0)},
		{"one byte short", one[:23]},
		{"one byte long", join(one, 0)},
		{"a unit short for its readings", seven[:24]},
		{"a unit long for its readings", join(seven, make([]byte, 24)...)},
		{"ends after the last time", set(plain.Block(quarter, late), 6, 0xff)},
		{"a status run in a block of one reading", set(one, 19, 1, 0, 1)},
		{"a status run before a used byte of index 0", set(nine, runs, 0, 0, 1)},
		{"a status run past the last reading", set(nine, runs, 9, 0, 1)},
		{"two status runs at one index", set(nine, runs, 3, 0, 1, 3, 0, 2)},
		{"status runs that fall", set(nine, runs, 3, 0, 1, 2, 0, 2)},
		{"a status run that changes nothing", set(nine, runs, 3, 0, 0)},
		{"a second status run that changes nothing", set(nine, runs, 3, 0, 1, 4, 0, 1)},
		{"padding of one that is not zero", set(one, 23, 1)},
		{"padding that is not zero", set(nine, len(nine)-1, 1)},
		{"a run of which two bytes fit", set(seven, 19+24+3, 1, 1)},
	}
}

func dataKeys() plain.DataKeys {
	return plain.DataKeys{
		ID: meterID(), AnID: pseudonym(), UC: utility, Epoch: 0x01020304,
		Key: draw("k_up", 16), Salt: draw("salt_up", 12), TagKey: plain.DataTagKey(secret()),
	}
}

// message is a vector of a data message; the caller sets Message and ToTTP.
func message(name string, k plain.DataKeys, counter uint32, block []byte) vectors.Data {
	return vectors.Data{
		Name: name, Secret: secret(), TagKey: k.TagKey, ID: vectors.ID(k.ID), AnID: vectors.ID(k.AnID),
		UC: k.UC, Epoch: k.Epoch, Counter: counter, Key: k.Key, Salt: k.Salt,
		Nonce: plain.Nonce(k.Salt, counter), AAD: k.AAD(counter), Block: block,
	}
}

func data() []vectors.Data {
	var list []vectors.Data
	add := func(name string, k plain.DataKeys, counter uint32, block []byte) {
		v := message(name, k, counter, block)
		v.Message = k.Message(counter, block)
		v.ToTTP = k.ForTTP(v.Message)
		list = append(list, v)
	}
	for i, s := range accepted() {
		add(s.name, dataKeys(), uint32(i), plain.Block(s.interval, s.readings))
	}
	block := plain.Block(quarter, run(1, quarter, start(), resting, resting))
	add("greatest counter", dataKeys(), math.MaxUint32, block)
	first, edge := dataKeys(), dataKeys()
	first.Epoch = 1
	edge.UC, edge.ID, edge.AnID, edge.Epoch = math.MaxUint32, math.MaxUint64, 0, 256
	add("epoch 1, counter 0", first, 0, block)
	add("greatest UC number, names at the edge, epoch with low byte 0", edge, 0, block)
	list = append(list, refusedAtCollector(block)...)
	list = append(list, refusedAtUtility(block)...)
	return append(list, refusedAtTTP(block)...)
}

func refusedAtCollector(block []byte) []vectors.Data {
	k := dataKeys()
	good := k.Message(1, block)
	most := plain.Block(quarter, run(255, quarter, start(), household, sun))
	var list []vectors.Data
	for _, bad := range []refused{
		{"no bytes", []byte{}},
		{"8 bytes", good[:8]},
		{"header only", good[:14]},
		{"one byte short", good[:69]},
		{"one byte long", join(good, 0)},
		{"no block", join(good[:14], good[38:]...)},
		{"a unit longer than 255 readings", k.Message(1, join(most, make([]byte, 24)...))},
		{"type 0", set(good, 0, 0)},
		{"type 5", set(good, 0, 5)},
		{"the type of a rekey notice with another length", set(good, 0, 0x46)},
	} {
		v := message("collector: "+bad.name, k, 1, block)
		v.Class, v.At, v.Message = malformed, vectors.AtCollector, bad.bytes
		list = append(list, v)
	}
	return list
}

func refusedAtUtility(block []byte) []vectors.Data {
	k := dataKeys()
	good := k.Message(1, block)
	other := k
	other.TagKey = plain.DataTagKey(draw("another S_SM-UC", 16))
	sealed := good[:len(good)-16]
	var list []vectors.Data
	for _, bad := range []refused{
		{"tag, first bit", flip(good, -16, 0x80)},
		{"tag, last bit", flip(good, -1, 1)},
		{"tag of zeros", join(sealed, make([]byte, 16)...)},
		{"tag of another meter's key", other.Message(1, block)},
		{"another ID_SM", flip(good, 8, 1)},
		{"another low byte of the epoch", flip(good, 9, 1)},
		{"another counter", flip(good, 13, 1)},
		{"another ciphertext", flip(good, 14, 1)},
		{"another GCM tag", flip(good, -17, 1)},
		{"tag is the last 16 bytes of the HMAC", join(sealed, plain.HMAC(k.TagKey, sealed)[16:]...)},
		{"tag over the pseudonym's header", join(sealed, plain.HMAC(k.TagKey, k.ForTTP(good))[:16]...)},
	} {
		v := message("utility: "+bad.name, k, 1, block)
		v.Class, v.At, v.Message = forged, vectors.AtUtility, bad.bytes
		list = append(list, v)
	}
	return list
}

func refusedAtTTP(block []byte) []vectors.Data {
	k := dataKeys()
	message1 := k.Message(1, block)
	good := k.ForTTP(message1)
	seal := func(change func(*plain.DataKeys)) []byte {
		other := k
		change(&other)
		return k.ForTTP(other.Message(1, block))
	}
	var list []vectors.Data
	add := func(class string, bad []refused) {
		for _, b := range bad {
			v := message("ttp: "+b.name, k, 1, block)
			v.Class, v.At, v.ToTTP = class, vectors.AtTTP, b.bytes
			list = append(list, v)
		}
	}
	add(forged, []refused{
		{"GCM tag, last bit", flip(good, -1, 1)},
		{"ciphertext, first bit", flip(good, 14, 0x80)},
		{"another an-ID in the header", flip(good, 8, 1)},
		{"ID_SM in the header", message1[:len(message1)-16]},
		{"another low byte in the header", flip(good, 9, 1)},
		{"another counter in the header", flip(good, 13, 1)},
		{"sealed for another utility", seal(func(k *plain.DataKeys) { k.UC++ })},
		{"sealed for another pseudonym", seal(func(k *plain.DataKeys) { k.AnID++ })},
		{"sealed for an epoch with the same low byte", seal(func(k *plain.DataKeys) { k.Epoch += 256 })},
		{"sealed under another key", seal(func(k *plain.DataKeys) { k.Key = draw("another k_up", 16) })},
		{"sealed under another salt", seal(func(k *plain.DataKeys) { k.Salt = draw("another salt_up", 12) })},
	})
	add(malformed, []refused{
		{"type M1", set(good, 0, 2)},
		{"with the UC tag", set(message1, 1, good[1:9]...)},
		{"one byte short", good[:len(good)-1]},
		{"no block", join(good[:14], good[38:]...)},
		{"13 bytes", good[:13]},
	})
	for _, bad := range refusedBlocks() {
		if len(bad.bytes) != 0 && len(bad.bytes)%24 == 0 {
			add(malformed, []refused{{"block: " + bad.name, k.ForTTP(k.Message(1, bad.bytes))}})
		}
	}
	return list
}
