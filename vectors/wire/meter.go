package wire

import "fmt"

// Reading is one line of text in JSON: time, import register, export register
// and status in decimal, with one space between.
type Reading struct {
	Time           uint32 // Unix seconds
	Import, Export uint64 // Wh, below 2^40
	Status         uint16
}

// MarshalText writes the line.
func (r Reading) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d %d %d %d", r.Time, r.Import, r.Export, r.Status), nil
}

// UnmarshalText reads the line.
func (r *Reading) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d %d %d %d", &r.Time, &r.Import, &r.Export, &r.Status)
	return err
}

// Block is a block of readings (section 6.1).
type Block struct {
	Name     string    `json:"name"`
	Class    string    `json:"class,omitempty"`
	Interval int       `json:"interval,omitempty"` // seconds
	Readings []Reading `json:"readings,omitempty"`
	Block    Hex       `json:"block"`
}

// Who refuses a data message that is not accepted.
const (
	AtCollector = "collector" // by type and length
	AtUtility   = "utility"   // by the UC tag
	AtTTP       = "ttp"       // by the GCM tag or the block
)

// Data is a data message with all that it was made from (section 6.2). Message
// is the meter's form, ToTTP the utility's. At names who refuses a message with
// a class: the collector and the utility judge Message, the TTP judges ToTTP,
// and the fields that the others would judge are absent or valid.
type Data struct {
	Name    string `json:"name"`
	Class   string `json:"class,omitempty"`
	At      string `json:"at,omitempty"`
	Secret  Hex    `json:"s_sm_uc"`
	TagKey  Hex    `json:"k_mac"`
	ID      ID     `json:"id_sm"`
	AnID    ID     `json:"an_id"`
	UC      uint32 `json:"uc"`
	Epoch   uint32 `json:"epoch"`
	Counter uint32 `json:"counter"`
	Key     Hex    `json:"k_up"`
	Salt    Hex    `json:"salt_up"`
	Nonce   Hex    `json:"nonce"`
	AAD     Hex    `json:"aad"`
	Block   Hex    `json:"block"`
	Message Hex    `json:"message,omitempty"`
	ToTTP   Hex    `json:"to_ttp,omitempty"`
}

// RegisterRequest is a registration request (section 4.1). The fields between
// Frame and Content are set if it is accepted.
type RegisterRequest struct {
	Name     string `json:"name"`
	Class    string `json:"class,omitempty"`
	Secret   Hex    `json:"s_sm_uc"`
	ID       ID     `json:"id_sm"`
	Frame    Hex    `json:"frame"`
	R        Hex    `json:"r,omitempty"`
	Key      Hex    `json:"aes_key,omitempty"`
	KeyNonce Hex    `json:"aes_nonce,omitempty"`
	Nonce    Hex    `json:"nonce,omitempty"`
	Time     uint64 `json:"time,omitempty"`
	Mu       Hex    `json:"mu,omitempty"`
	Content  Hex    `json:"content,omitempty"`
}

// RegisterAnswer is a registration answer (section 4.2).
type RegisterAnswer struct {
	Name         string `json:"name"`
	Class        string `json:"class,omitempty"`
	Secret       Hex    `json:"s_sm_uc"`
	ID           ID     `json:"id_sm"`
	Request      Hex    `json:"request"`
	Frame        Hex    `json:"frame"`
	R            Hex    `json:"r,omitempty"`
	AnID         ID     `json:"an_id,omitempty"`
	UC           uint32 `json:"uc,omitempty"`
	EpochBase    uint32 `json:"epoch_base,omitempty"`
	Time         uint64 `json:"time,omitempty"`
	D            Hex    `json:"d,omitempty"`
	RootKey      Hex    `json:"root_key,omitempty"`
	Statement    Hex    `json:"statement,omitempty"`
	TTPStatement Hex    `json:"ttp_statement,omitempty"`
	Root         Hex    `json:"root_statement,omitempty"`
	Content      Hex    `json:"content,omitempty"`
}

// RegisterRefusal is a registration refusal (section 4.3).
type RegisterRefusal struct {
	Name    string `json:"name"`
	Class   string `json:"class,omitempty"`
	Secret  Hex    `json:"s_sm_uc"`
	ID      ID     `json:"id_sm"`
	Request Hex    `json:"request"`
	Frame   Hex    `json:"frame"`
	R       Hex    `json:"r,omitempty"`
	Nonce   Hex    `json:"nonce,omitempty"`
	Time    uint64 `json:"time,omitempty"`
	Content Hex    `json:"content,omitempty"`
}

// Control is a frame under a UC tag of its own: M1, M2, M3, a rekey notice, a
// receipt or a move notice, as Type says (sections 5.1, 7.4, 6.4 and 4.6).
type Control struct {
	Name   string `json:"name"`
	Class  string `json:"class,omitempty"`
	Secret Hex    `json:"s_sm_uc"`
	ID     ID     `json:"id_sm"`
	Type   byte   `json:"type"`
	Frame  Hex    `json:"frame"`
	Low    byte   `json:"epoch_low,omitempty"`
	R      Hex    `json:"r,omitempty"`
	MACKey Hex    `json:"mac_key,omitempty"`
	Body   Hex    `json:"body,omitempty"`
}

// Offer is the plaintext of an M1 (section 5.1).
type Offer struct {
	Name      string `json:"name"`
	Class     string `json:"class,omitempty"`
	Plaintext Hex    `json:"plaintext"`
	Pinned    bool   `json:"pinned,omitempty"`
	Suites    Hex    `json:"suites,omitempty"`
	N         Hex    `json:"n,omitempty"`
	E         Hex    `json:"e,omitempty"`
	Epoch     uint32 `json:"epoch,omitempty"`
	Chain     uint32 `json:"chain,omitempty"`
	Older     uint32 `json:"older_chain,omitempty"`
}

// Answer is the plaintext of an M2 (section 5.1).
type Answer struct {
	Name      string `json:"name"`
	Class     string `json:"class,omitempty"`
	Plaintext Hex    `json:"plaintext"`
	S         Hex    `json:"s,omitempty"`
	N         Hex    `json:"n,omitempty"`
	F         Hex    `json:"f,omitempty"`
	Epoch     uint32 `json:"epoch,omitempty"`
	Lifetime  uint32 `json:"lifetime,omitempty"` // seconds
	Chain     uint32 `json:"chain,omitempty"`
	Suite     byte   `json:"suite,omitempty"`
}

// Session is an exchange's transcript and keys (section 5.2). The statements
// stand signed; the transcript takes their hashes. ChainKey is k_chain of the
// chain epoch, or zeros.
type Session struct {
	Name         string `json:"name"`
	LowerE       Hex    `json:"e_secret"`
	E            Hex    `json:"e"`
	LowerF       Hex    `json:"f_secret"`
	F            Hex    `json:"f"`
	Shared       Hex    `json:"shared_x"`
	N            Hex    `json:"n"`
	S            Hex    `json:"s"`
	ChainKey     Hex    `json:"chain_key"`
	Suites       Hex    `json:"suites"`
	Suite        byte   `json:"suite"`
	UC           uint32 `json:"uc"`
	Master       Hex    `json:"master"`
	AnID         ID     `json:"an_id"`
	Statement    Hex    `json:"statement"`
	TTPStatement Hex    `json:"ttp_statement"`
	M1           Hex    `json:"m1_body"`
	M2           Hex    `json:"m2_ciphertext"`
	Epoch        uint32 `json:"epoch"`
	Lifetime     uint32 `json:"lifetime"`
	Chain        uint32 `json:"chain"`
	T            Hex    `json:"t"`
	Keys         Hex    `json:"keys"`
	ConfirmT     Hex    `json:"confirm_ttp"`
	ConfirmM     Hex    `json:"confirm_meter"`
}

// Span is one line of text in JSON: the first and the last time of a missing
// span in decimal, with one space between.
type Span struct{ First, Last uint32 }

// MarshalText writes the line.
func (s Span) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d %d", s.First, s.Last), nil }

// UnmarshalText reads the line.
func (s *Span) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d %d", &s.First, &s.Last)
	return err
}

// Receipt is a receipt as the TTP seals it (section 6.4).
type Receipt struct {
	Name      string `json:"name"`
	Class     string `json:"class,omitempty"`
	UC        uint32 `json:"uc"`
	AnID      ID     `json:"an_id"`
	Epoch     uint32 `json:"epoch"`
	Key       Hex    `json:"k_down"`
	Salt      Hex    `json:"salt_down"`
	Body      Hex    `json:"body"`
	Counter   uint32 `json:"counter,omitempty"`
	Nonce     Hex    `json:"nonce,omitempty"`
	AAD       Hex    `json:"aad,omitempty"`
	Plaintext Hex    `json:"plaintext,omitempty"`
	Takeover  uint16 `json:"takeover_hours,omitempty"`
	Time      uint32 `json:"time,omitempty"`
	From      uint32 `json:"from,omitempty"`
	Through   uint32 `json:"through,omitempty"`
	Missing   []Span `json:"missing,omitempty"`
}
