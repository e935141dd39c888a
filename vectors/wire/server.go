package wire

// Forward is a collector's post (section 7.1).
type Forward struct {
	Name     string `json:"name"`
	Class    string `json:"class,omitempty"`
	Body     Hex    `json:"body"`
	Interval uint64 `json:"interval,omitempty"`
	Roster   uint64 `json:"roster,omitempty"`
	Frames   []Hex  `json:"frames,omitempty"`
}

// Downlink is a frame for a meter.
type Downlink struct {
	ID    ID  `json:"id_sm"`
	Frame Hex `json:"frame"`
}

// RosterEntry is a change of what a collector keeps of a link password.
type RosterEntry struct {
	ID   ID  `json:"id_sm"`
	Hash Hex `json:"hash"`
}

// ForwardAnswer is the answer to a post with Count frames (section 7.1).
type ForwardAnswer struct {
	Name      string        `json:"name"`
	Class     string        `json:"class,omitempty"`
	Count     int           `json:"count"`
	Body      Hex           `json:"body"`
	Verdicts  Hex           `json:"verdicts,omitempty"`
	Downlinks []Downlink    `json:"downlinks,omitempty"`
	Roster    uint64        `json:"roster,omitempty"`
	Changes   []RosterEntry `json:"changes,omitempty"`
}

// Messages is a batch for the TTP (section 7.2).
type Messages struct {
	Name     string `json:"name"`
	Class    string `json:"class,omitempty"`
	Body     Hex    `json:"body"`
	Messages []Hex  `json:"messages,omitempty"`
}

// PassedReceipt is a receipt on its way through the utility.
type PassedReceipt struct {
	AnID ID   `json:"an_id"`
	Low  byte `json:"epoch_low"`
	Body Hex  `json:"body"`
}

// Verdicts is the answer to a batch of Count messages (section 7.2).
type Verdicts struct {
	Name     string          `json:"name"`
	Class    string          `json:"class,omitempty"`
	Count    int             `json:"count"`
	Body     Hex             `json:"body"`
	Verdicts Hex             `json:"verdicts,omitempty"`
	Receipts []PassedReceipt `json:"receipts,omitempty"`
}

// ExchangeRequest is an M1 or M3 under a pseudonym.
type ExchangeRequest struct {
	Type byte `json:"type"`
	AnID ID   `json:"an_id"`
	Low  byte `json:"epoch_low"`
	Body Hex  `json:"body"`
}

// Exchanges is a batch of exchanges (section 7.3).
type Exchanges struct {
	Name     string            `json:"name"`
	Class    string            `json:"class,omitempty"`
	Body     Hex               `json:"body"`
	Requests []ExchangeRequest `json:"requests,omitempty"`
}

// ExchangeAnswer is the verdict on an exchange and the body of M2, if any.
type ExchangeAnswer struct {
	Verdict byte `json:"verdict"`
	M2      Hex  `json:"m2_body"`
}

// ExchangeAnswers is the answer to Count exchanges (section 7.3).
type ExchangeAnswers struct {
	Name    string           `json:"name"`
	Class   string           `json:"class,omitempty"`
	Count   int              `json:"count"`
	Body    Hex              `json:"body"`
	Answers []ExchangeAnswer `json:"answers,omitempty"`
}

// ClaimCode is a code as shown, and as a person may type it (section 8).
type ClaimCode struct {
	Name    string `json:"name"`
	Class   string `json:"class,omitempty"`
	Typed   string `json:"typed"`
	Code    string `json:"code,omitempty"`
	UC      uint32 `json:"uc,omitempty"`
	AnID    ID     `json:"an_id,omitempty"`
	Claim   Hex    `json:"k_claim,omitempty"`
	Locator uint32 `json:"locator,omitempty"`
}

// LinkPassword is a meter's password at the collectors of a domain, and the
// hash that they keep (section 2).
type LinkPassword struct {
	Name     string `json:"name"`
	Secret   Hex    `json:"s_sm_uc"`
	ID       ID     `json:"id_sm"`
	Domain   string `json:"domain"`
	Password string `json:"password"`
	Hash     Hex    `json:"hash"`
}
