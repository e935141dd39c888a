package wire

import (
	"encoding/json"
	"time"
)

// What may end with a bill, in BillsRequest.
const (
	EndsTariff  = "tariff"
	EndsTenancy = "tenancy"
)

// The JSON bodies of billing (spec/protocol.md section 7.5). Byte strings are
// base64 in them.
type (
	// BillsRequest asks for the bills of meters over a period.
	BillsRequest struct {
		Tariff string    `json:"tariff"` // id
		From   time.Time `json:"from"`
		To     time.Time `json:"to"` // exclusive
		Ends   string    `json:"ends,omitempty"`
		Meters []string  `json:"an_ids"`
		// LogSize is that of the checkpoint that the utility cosigned last.
		LogSize uint64 `json:"log_size,omitempty"`
	}
	// BillsAnswer is by position.
	BillsAnswer struct {
		Bills []BillAnswer `json:"bills"`
		// Checkpoint is signed by the log; the bills' hashes lead to it.
		// Consistency proves that it continues the log of LogSize.
		Checkpoint  string   `json:"checkpoint,omitempty"`
		Consistency [][]byte `json:"consistency,omitempty"`
	}
	// BillAnswer is a bill, or the class why there is none. Rule is the gate's,
	// where that is the class.
	BillAnswer struct {
		Meter string `json:"an_id"`
		LoggedBill
		Class      Class             `json:"class,omitempty"`
		Rule       string            `json:"rule,omitempty"`
		Correction *CorrectionAnswer `json:"correction,omitempty"`
	}
	// LoggedBill is a bill and its place in the log.
	LoggedBill struct {
		JWS    string   `json:"jws,omitempty"`
		Salt   string   `json:"salt,omitempty"`
		Index  uint64   `json:"index,omitempty"`
		Hashes [][]byte `json:"hashes,omitempty"` // RFC 6962 audit path
	}
	// CorrectionAnswer is a bill that replaces the one of an earlier period.
	CorrectionAnswer struct {
		Tariff string    `json:"tariff"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
		LoggedBill
	}

	// ProofsRequest is the body of POST /v1/proofs: newer proofs of what is in
	// the log.
	ProofsRequest struct {
		LogSize   uint64   `json:"log_size,omitempty"`  // of the checkpoint that the utility cosigned last
		Overtaken uint64   `json:"overtaken,omitempty"` // of the one that it did not
		Places    []uint64 `json:"places"`              // of bills
	}
	// ProofsAnswer is its answer: an audit path for each place.
	ProofsAnswer struct {
		Checkpoint  string     `json:"checkpoint"`
		Consistency [][]byte   `json:"consistency,omitempty"` // that it continues LogSize
		Overtaken   [][]byte   `json:"overtaken,omitempty"`   // that it continues Overtaken
		Hashes      [][][]byte `json:"hashes"`
	}
	// CosignedCheckpoint is a checkpoint of the log that the utility's witness
	// has cosigned, and the witness's verifier key.
	CosignedCheckpoint struct {
		Checkpoint string `json:"checkpoint"`
		Witness    string `json:"witness"`
	}

	// BillKeys are what bills verify under: the keys that sign them, and the
	// log that they are in.
	BillKeys struct {
		JWKS   json.RawMessage `json:"jwks"`
		Origin string          `json:"origin"`
		Log    string          `json:"log"` // verifier key
	}
)
