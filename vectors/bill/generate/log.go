package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// The kinds of keys in a signed note.
const (
	noteEd25519     = 1
	noteCosignature = 4
)

const (
	origin      = "ttp.example/bills"
	witnessName = "utility.example"
	cosignedAt  = 1_525_000_000
)

// logKey and witnessKey are the published ones: their seeds count up from 50
// and 150.
func logKey() key     { return keyFrom(50) }
func witnessKey() key { return keyFrom(150) }

func std(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func (k key) public() []byte { return k.private.Public().(ed25519.PublicKey) }

// noteHash tells keys of a signed note apart.
func (k key) noteHash(name string, kind byte) []byte {
	sum := sha256.Sum256(append(append([]byte(name+"\n"), kind), k.public()...))
	return sum[:4]
}

// verifierKey is the key as C2SP signed-note has it.
func (k key) verifierKey(name string) string {
	return name + "+" + hex.EncodeToString(k.noteHash(name, noteEd25519)) + "+" + std(append([]byte{noteEd25519}, k.public()...))
}

func logKeys() string {
	return `{"origin":"` + origin + `","log":"` + logKey().verifierKey(origin) + `","witness":"` + witnessKey().verifierKey(witnessName) + `"}`
}

// checkpoint is one that is made from parts.
type checkpoint struct {
	origin string
	leaves [][]byte
	log    key
	// cosigner is missing if there is no cosignature.
	cosigner *key
	cosigned string // name of the cosigner
}

func (c checkpoint) body() string {
	return c.origin + "\n" + strconv.Itoa(len(c.leaves)) + "\n" + std(tree(c.leaves)) + "\n"
}

func (c checkpoint) text() string {
	body := c.body()
	text := body + "\n" + signature(c.origin, c.log.noteHash(c.origin, noteEd25519), ed25519.Sign(c.log.private, []byte(body)))
	if c.cosigner != nil {
		message := "cosignature/v1\ntime " + strconv.Itoa(cosignedAt) + "\n" + body
		signed := append(bytesOf(cosignedAt, 8), ed25519.Sign(c.cosigner.private, []byte(message))...)
		text += signature(c.cosigned, c.cosigner.noteHash(c.cosigned, noteCosignature), signed)
	}
	return text
}

func signature(name string, hash, signed []byte) string {
	return "— " + name + " " + std(append(hash, signed...)) + "\n"
}

// entryLeaf is the leaf hash of an entry.
func entryLeaf(entry []byte) []byte {
	sum := sha256.Sum256(append([]byte{0}, entry...))
	return sum[:]
}

// fill are leaves of other bills.
func fill(from, to int) [][]byte {
	var leaves [][]byte
	for i := from; i < to; i++ {
		sum := sha256.Sum256([]byte("bill " + strconv.Itoa(i)))
		leaves = append(leaves, entryLeaf(sum[:]))
	}
	return leaves
}

// path is the audit path of RFC 6962 section 2.1.1.
func path(m int, leaves [][]byte) [][]byte {
	n := len(leaves)
	if n == 1 {
		return nil
	}
	k := 1
	for 2*k < n {
		k = 2 * k
	}
	if m < k {
		return append(path(m, leaves[:k]), tree(leaves[k:]))
	}
	return append(path(m-k, leaves[k:]), tree(leaves[:k]))
}

// consistency is the proof of RFC 6962 section 2.1.2, that the first m leaves
// came first.
func consistency(m int, leaves [][]byte, whole bool) [][]byte {
	n := len(leaves)
	if m == n {
		if whole {
			return nil
		}
		return [][]byte{tree(leaves)}
	}
	k := 1
	for 2*k < n {
		k = 2 * k
	}
	if m <= k {
		return append(consistency(m, leaves[:k], whole), tree(leaves[k:]))
	}
	return append(consistency(m-k, leaves[k:], false), tree(leaves[:k]))
}

// logged is a bill in a log.
type logged struct {
	jws    string
	meter  meter
	named  bool // the document names the meter
	index  int
	hashes [][]byte
	checkpoint
}

// inLog is the bill of the vectors as entry index of a log of so many.
func inLog(index, size int) logged {
	jws, m, witness := testKey().sign(march().payload()), testMeter(), witnessKey()
	entry := sha256.Sum256(append(append([]byte{}, m.salt[:]...), jws...))
	leaves := fill(0, size)
	leaves[index] = entryLeaf(entry[:])
	return logged{
		jws: jws, meter: m, index: index, hashes: path(index, leaves),
		checkpoint: checkpoint{origin: origin, leaves: leaves, log: logKey(), cosigner: &witness, cosigned: witnessName},
	}
}

func hashList(hashes [][]byte) string {
	texts := make([]string, len(hashes))
	for i, h := range hashes {
		texts[i] = `"` + b64(h) + `"`
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` }

func (l logged) document() string { return l.documentWith(l.checkpoint.text()) }

func (l logged) documentWith(checkpoint string) string {
	name := ""
	if l.named {
		name = `,"meter":"` + l.meter.name() + `"`
	}
	return `{"jws":"` + l.jws + `"` + name + `,"proof":{"checkpoint":` + quoted(checkpoint) +
		`,"hashes":` + hashList(l.hashes) + `,"index":` + strconv.Itoa(l.index) + `},"salt":"` + l.salt() + `"}`
}

func (m meter) name() string {
	digits := strconv.FormatUint(m.pseudonym, 16)
	return strconv.FormatUint(uint64(m.uc), 10) + "/" + strings.Repeat("0", 16-len(digits)) + digits
}

// seen is a checkpoint that was seen before, and the proof from it to a later
// one.
func seen(c checkpoint, proof [][]byte) string {
	return `{"checkpoint":` + quoted(c.text()) + `,"consistency":` + hashList(proof) + `}`
}

func (l logged) salt() string { return b64(l.meter.salt[:]) }
