package main

import (
	"crypto/hmac"
	"crypto/sha256"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// day is a local day, by its number since 1970-01-01, and what was measured in
// it.
type day struct {
	number    uint64
	intervals []vectors.Interval
}

// bytesOf writes a number big-endian in so many bytes.
func bytesOf(v uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(v >> (8 * (size - 1 - i)))
	}
	return b
}

func (d day) leaf(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("wattveil1 bill day"))
	mac.Write(bytesOf(d.number, 4))
	text := append([]byte{0}, mac.Sum(nil)[:16]...)
	text = append(text, 1)
	text = append(text, bytesOf(d.number, 4)...)
	text = append(text, bytesOf(uint64(len(d.intervals)), 4)...)
	for _, i := range d.intervals {
		text = append(text, bytesOf(uint64(i.Start), 5)...)
		text = append(text, bytesOf(uint64(i.Seconds), 2)...)
		text = append(text, bytesOf(uint64(i.Import), 5)...)
		text = append(text, bytesOf(uint64(i.Export), 5)...)
		text = append(text, byte(i.Quality))
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// tree is the root of RFC 6962 section 2.1, in its own words: k is the largest
// power of two smaller than n.
func tree(leaves [][]byte) []byte {
	n := len(leaves)
	if n == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < n {
		k = 2 * k
	}
	text := append([]byte{1}, tree(leaves[:k])...)
	sum := sha256.Sum256(append(text, tree(leaves[k:])...))
	return sum[:]
}

// root assembles a vector.
func root(name, why, zone string, from, to int64, days []day) vectors.Root {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = 0xc0 + byte(i)
	}
	r := vectors.Root{Name: name, Why: why, Secret: b64(secret), Timezone: zone, From: from, To: to}
	var leaves [][]byte
	for _, d := range days {
		leaf := d.leaf(secret)
		leaves = append(leaves, leaf)
		r.Intervals = append(r.Intervals, d.intervals...)
		r.Leaves = append(r.Leaves, b64(leaf))
	}
	r.Root = b64(tree(leaves))
	return r
}

// steps are so many intervals in a row, each with another energy.
func steps(start int64, seconds, n int) []vectors.Interval {
	var list []vectors.Interval
	for i := range n {
		list = append(list, vectors.Interval{
			Start: start + int64(i*seconds), Seconds: seconds, Import: int64(100 + 7*i), Export: int64(i % 3),
		})
	}
	return list
}

// roots are vectors of section 8. Days and times are written out: day 17,600 is
// 2018-03-10, 17,615 the Sunday on which clocks went forward in Zurich, 15,338
// the one that Samoa left out.
func roots() []vectors.Root {
	const midnight = 1_520_636_400 // 2018-03-10T00:00:00+01:00
	marked := steps(midnight, 900, 96)
	marked[10].Quality, marked[11].Quality, marked[12].Quality = 8, 9, 10
	const spring = 1_521_932_400 // 2018-03-25T00:00:00+01:00
	const samoa = 1_325_152_800  // 2011-12-29T00:00:00-10:00
	var days []day
	for i := range 7 {
		days = append(days, day{17_600 + uint64(i), steps(midnight+int64(i)*86_400, 3_600, 24-i)})
	}
	return []vectors.Root{
		root("one-day", "one day, some of it estimated: the root is its leaf", "Europe/Zurich", midnight, midnight+86_400,
			[]day{{17_600, marked}}),
		root("part-of-a-day", "the period begins and ends within a day", "UTC", midnight+3_600*3, midnight+3_600*5,
			[]day{{17_600, steps(midnight+3_600*3, 3_600, 2)}}),
		root("clocks-forward", "three days, the second of 23 hours", "Europe/Zurich", spring-86_400, spring+23*3_600+86_400,
			[]day{{17_614, steps(spring-86_400, 3_600, 24)}, {17_615, steps(spring, 3_600, 23)}, {17_616, steps(spring+23*3_600, 3_600, 24)}}),
		root("seven-days", "a tree that is not full; the later days lack readings", "Europe/Zurich", midnight, midnight+7*86_400, days),
		root("empty-days", "days without any reading have leaves too", "UTC", 17_600*86_400, 17_605*86_400,
			[]day{{number: 17_600}, {17_601, steps(17_601*86_400, 900, 3)}, {number: 17_602}, {number: 17_603}, {17_604, steps(17_604*86_400+80_000, 400, 16)}}),
		root("day-left-out", "a date that never was, as the zone moved across the date line, is an empty day", "Pacific/Apia", samoa, samoa+2*86_400,
			[]day{{15_337, steps(samoa, 3_600, 24)}, {number: 15_338}, {15_339, steps(samoa+86_400, 3_600, 24)}}),
		root("largest", "the largest numbers", "UTC", 1<<33-3_600, 1<<33,
			[]day{{(1<<33 - 1) / 86_400, []vectors.Interval{{Start: 1<<33 - 3_600, Seconds: 3_600, Import: 1<<40 - 1, Export: 1<<40 - 1, Quality: 255}}}}),
	}
}
