package bill

import (
	"bytes"
	"encoding/json"
)

// Seen is a checkpoint of the log that was seen before, and the proof that the
// log of a later one continues it (spec/bill.md section 9).
type Seen struct {
	Checkpoint  string
	Consistency [][]byte // RFC 6962 consistency proof; none if nobody gave one
}

// maxSeen bounds the written form of a checkpoint and its proof.
const maxSeen = 2 * maxCheckpoint

// ParseSeen reads a checkpoint that was kept: its text, a bill's document that
// has one, or a JSON object of "checkpoint" and "consistency". A refusal is of
// class [ErrDocument].
func ParseSeen(data []byte) (Seen, error) {
	if len(data) > maxDocument {
		return Seen{}, refuse(ErrDocument, "the earlier checkpoint has %d bytes, at most %d are allowed", len(data), maxDocument)
	}
	if !IsDocument(data) {
		if len(data) == 0 || len(data) > maxCheckpoint {
			return Seen{}, refuse(ErrDocument, "the earlier checkpoint has %d bytes, want 1 to %d", len(data), maxCheckpoint)
		}
		return Seen{Checkpoint: string(data)}, nil
	}
	if d, err := ParseDocument(data); err == nil {
		if d.Proof == nil {
			return Seen{}, refuse(ErrDocument, "the document of the earlier bill has no checkpoint")
		}
		return Seen{Checkpoint: d.Proof.Checkpoint}, nil
	}
	return parseSeen(bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")))
}

// seenJSON is how a checkpoint with its proof is written.
type seenJSON struct {
	Checkpoint  string `json:"checkpoint"`
	Consistency []Hash `json:"consistency"`
}

func parseSeen(data []byte) (Seen, error) {
	var in seenJSON
	if err := json.Unmarshal(data, &in); err != nil || in.Checkpoint == "" || in.Consistency == nil || len(data) > maxSeen || len(in.Consistency) > 2*maxHashes {
		return Seen{}, refuse(ErrDocument, `the earlier checkpoint is neither its text, nor a bill's document, nor a JSON object of "checkpoint" and "consistency"`)
	}
	if again, err := marshal(in); err != nil || !bytes.Equal(again, data) {
		return Seen{}, refuse(ErrDocument, "the earlier checkpoint is not canonical JSON: members sorted by name, no white space, nothing else")
	}
	s := Seen{Checkpoint: in.Checkpoint}
	for _, h := range in.Consistency {
		s.Consistency = append(s.Consistency, h[:])
	}
	return s, nil
}
