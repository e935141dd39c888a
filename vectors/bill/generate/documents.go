package main

import (
	"strings"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// documents are those of section 9.
func documents() []vectors.Document {
	list := append(goodDocuments(), badForms()...)
	list = append(list, badBeside()...)
	return append(append(list, badCheckpoints()...), otherLogs()...)
}

func goodDocuments() []vectors.Document {
	plain, first, named, older := inLog(5, 8), inLog(0, 1), inLog(2, 3), inLog(5, 8)
	named.named = true
	older.leaves = older.leaves[:6]
	longer := inLog(5, 13)
	stranger := keyFrom(100)
	extra := strings.Replace(plain.checkpoint.text(), "\n\n", "\n\n"+signature("watcher.example", stranger.noteHash("watcher.example", noteEd25519), make([]byte, 64)), 1)
	return []vectors.Document{
		{Name: "logged", Why: "entry 5 of a log of 8", Text: plain.document()},
		{Name: "first", Why: "the only entry: there is no audit path", Text: first.document()},
		{Name: "named", Why: "the meter is named, at the place of a tree that is not full", Text: named.document()},
		{Name: "line-break", Why: "a line break at the end", Text: plain.document() + "\n"},
		{Name: "unlogged", Why: "a bill that is not in the log yet", Text: `{"jws":"` + plain.jws + `","salt":"` + plain.salt() + `"}`},
		{Name: "other-signatures", Why: "a signature by a key that is not known is passed over", Text: plain.documentWith(extra)},
		{Name: "seen-same", Why: "the checkpoint was seen before", Text: plain.document(), Seen: plain.checkpoint.text()},
		{Name: "seen-longer", Why: "a longer log was seen before, which goes on from this one", Text: plain.document(), Seen: seen(longer.checkpoint, consistency(8, longer.leaves, true))},
		{Name: "seen-older", Why: "the log goes on from an older checkpoint", Text: plain.document(), Seen: seen(older.checkpoint, consistency(6, plain.leaves, true))},
	}
}

// badForms are no documents.
func badForms() []vectors.Document {
	good := inLog(5, 8).document()
	var list []vectors.Document
	for _, e := range []edit{
		{"doc-space", "document", "white space", `,"salt"`, `, "salt"`},
		{"doc-order", "document", "members in another order", good, `{"salt":"` + inLog(5, 8).salt() + `","jws":"` + inLog(5, 8).jws + `"}`},
		{"doc-unknown", "document", "a member that no document has, such as a key", `,"salt"`, `,"key":"x","salt"`},
		{"doc-twice", "document", "a member given twice", `"index":5`, `"index":5,"index":5`},
		{"doc-no-salt", "document", "the salt is missing", `,"salt":"` + inLog(5, 8).salt() + `"`, ``},
		{"doc-salt-short", "document", "a salt of another length", `"salt":"`, `"salt":"AA`},
		{"doc-hash-short", "document", "a hash of another length", `"hashes":["`, `"hashes":["AAAA","`},
		{"doc-index", "document", "an index that is no whole number", `"index":5`, `"index":5.0`},
		{"doc-null", "document", "null in the place of the proof", `"hashes":[`, `"hashes":null,"more":[`},
		{"doc-after", "document", "text after the document", good, good + "{}"},
	} {
		if strings.Count(good, e.old) != 1 {
			panic("the place of " + e.name + " is not there once")
		}
		list = append(list, vectors.Document{Name: e.name, Why: e.why, Class: e.class, Text: strings.Replace(good, e.old, e.new, 1)})
	}
	return list
}

// badBeside are a good bill beside something that is not its own.
func badBeside() []vectors.Document {
	other, salted, changed, moved, path, missing := inLog(5, 8), inLog(5, 8), inLog(5, 8), inLog(5, 8), inLog(5, 8), inLog(5, 8)
	other.named, salted.named = true, true
	other.meter.pseudonym++
	salted.meter.salt[0]++
	changed.jws = strings.Replace(changed.jws, ".e", ".f", 1)
	moved.index = 4
	path.hashes[0] = tree(fill(0, 1))
	missing.leaves[5] = fill(9, 10)[0]
	past := inLog(5, 8)
	past.index = 8
	short, long := inLog(5, 8), inLog(5, 8)
	short.hashes = short.hashes[1:]
	long.hashes = append(long.hashes, tree(fill(0, 1)))
	return []vectors.Document{
		{Name: "doc-changed-bill", Class: "signature", Why: "a character of the bill was changed", Text: changed.document()},
		{Name: "doc-other-meter", Class: "subject", Why: "it names another meter", Text: other.document()},
		{Name: "doc-other-salt", Class: "subject", Why: "the salt of another bill", Text: salted.document()},
		{Name: "doc-moved", Class: "inclusion", Why: "the place of another bill", Text: moved.document()},
		{Name: "doc-path", Class: "inclusion", Why: "a hash of the path was changed", Text: path.document()},
		{Name: "doc-path-short", Class: "inclusion", Why: "a hash of the path is missing", Text: short.document()},
		{Name: "doc-path-long", Class: "inclusion", Why: "a hash too many", Text: long.document()},
		{Name: "doc-missing", Class: "inclusion", Why: "the log has another bill in this place", Text: missing.document()},
		{Name: "doc-past-end", Class: "inclusion", Why: "a place that the log does not have", Text: past.document()},
	}
}

// badCheckpoints are not signed by both.
func badCheckpoints() []vectors.Document {
	stranger := keyFrom(100)
	forged, elsewhere, uncosigned, strange, renamed := inLog(5, 8), inLog(5, 8), inLog(5, 8), inLog(5, 8), inLog(5, 8)
	forged.log = stranger
	elsewhere.origin = "other.example/bills"
	uncosigned.cosigner = nil
	strange.cosigner = &stranger
	renamed.cosigned = "other.example"
	good := inLog(5, 8)
	text := good.checkpoint.text()
	grown := strings.Replace(text, "\n8\n", "\n9\n", 1)
	later := strings.Replace(text, std(witnessKey().noteHash(witnessName, noteCosignature))[:5], "AAAAA", 1)
	return []vectors.Document{
		{Name: "doc-forged", Class: "checkpoint", Why: "the checkpoint is signed by another key", Text: forged.document()},
		{Name: "doc-grown", Class: "checkpoint", Why: "the size of the log was changed", Text: good.documentWith(grown)},
		{Name: "doc-elsewhere", Class: "checkpoint", Why: "the checkpoint of another log", Text: elsewhere.document()},
		{Name: "doc-no-checkpoint", Class: "checkpoint", Why: "text that is no checkpoint", Text: good.documentWith("none")},
		{Name: "doc-stray-bits", Class: "checkpoint", Why: "base64 of the log's signature with stray bits behind its last byte", Text: good.documentWith(stray(text, 0))},
		{Name: "doc-stray-cosigner", Class: "checkpoint", Why: "the same in the cosignature", Text: good.documentWith(stray(text, 1))},
		{Name: "doc-uncosigned", Class: "cosignature", Why: "the utility has not cosigned", Text: uncosigned.document()},
		{Name: "doc-strange-cosigner", Class: "cosignature", Why: "somebody else has cosigned under the utility's name", Text: strange.document()},
		{Name: "doc-renamed-cosigner", Class: "cosignature", Why: "the utility's key under another name", Text: renamed.document()},
		{Name: "doc-cosigner-unknown", Class: "cosignature", Why: "the cosignature names another key", Text: good.documentWith(later)},
	}
}

// stray sets the lowest bit of the last character of a signature's base64. No
// byte of the signature is made of it.
func stray(text string, signature int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	body, signatures, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(signatures, "\n")
	signed := strings.TrimRight(lines[signature], "=")
	last := len(signed) - 1
	lines[signature] = signed[:last] + string(alphabet[strings.IndexByte(alphabet, signed[last])|1]) + lines[signature][last+1:]
	return body + "\n\n" + strings.Join(lines, "\n")
}

// otherLogs do not continue what was seen before.
func otherLogs() []vectors.Document {
	good, fork, longer, older := inLog(5, 8), inLog(5, 8), inLog(5, 12), inLog(5, 8)
	fork.leaves = append(fill(20, 22), fork.leaves[2:]...)
	older.leaves = append(fill(20, 22), older.leaves[2:6]...)
	proof := consistency(6, good.leaves, true)
	return []vectors.Document{
		{Name: "seen-fork", Class: "consistency", Why: "a log of the same size with other bills was seen before: there are two logs", Text: good.document(), Seen: fork.checkpoint.text()},
		{Name: "seen-longer-fork", Class: "consistency", Why: "a longer log was seen before, and the proof does not lead to it", Text: good.document(), Seen: seen(longer.checkpoint, proof)},
		{Name: "seen-older-fork", Class: "consistency", Why: "an older log with other bills was seen before", Text: good.document(), Seen: seen(older.checkpoint, proof)},
		{Name: "seen-unsigned", Class: "checkpoint", Why: "what was seen before is not signed by the log", Text: good.document(), Seen: strings.Replace(good.checkpoint.text(), "\n8\n", "\n7\n", 1)},
	}
}
