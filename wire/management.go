package wire

import "github.com/wattveil/wattveil"

// The JSON bodies of enrolment (spec/protocol.md section 4.5). Byte strings
// are base64 in them.
type (
	// Enrolment is who the TTP is towards a utility.
	Enrolment struct {
		Number  wattveil.UCNumber `json:"uc_number"`
		Name    string            `json:"name"`
		Mu      []byte            `json:"mu"`
		RootKey []byte            `json:"root_key"`
	}
	// EnrolmentKey is the key that the utility's KGC issues to the TTP.
	EnrolmentKey struct {
		Statement   []byte `json:"statement"` // signed
		PartialKey  []byte `json:"partial_key"`
		Certificate []byte `json:"kgc_certificate"`
	}
	// EnrolmentRoot is the TTP's word that the key is its own.
	EnrolmentRoot struct {
		Root []byte `json:"root_statement"` // signed
	}
	// MeterStatements enrols meters' keys.
	MeterStatements struct {
		Statements [][]byte `json:"statements"` // signed
	}
	// MeterStatementsAnswer names those that are refused.
	MeterStatementsAnswer struct {
		Refused []StatementRefusal `json:"refused"`
	}
	// StatementRefusal is why the statement at a position is refused.
	StatementRefusal struct {
		Position int   `json:"position"`
		Class    Class `json:"class"`
	}
)
