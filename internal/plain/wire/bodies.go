package wire

// Forward is a collector's request (section 7.1).
func Forward(interval, roster uint64, frames [][]byte) []byte {
	return join(u8(1), u64(interval), u64(roster), list(frames))
}

// Downlink is a frame for a meter.
type Downlink struct {
	ID    uint64
	Frame []byte
}

// RosterEntry is what a collector keeps of a meter's link password.
type RosterEntry struct {
	ID   uint64
	Hash []byte
}

// ForwardAnswer is the answer to a collector (section 7.1).
func ForwardAnswer(verdicts []byte, downlinks []Downlink, roster uint64, changes []RosterEntry) []byte {
	b := join(u8(1), u32(uint32(len(verdicts))), verdicts, u32(uint32(len(downlinks))))
	for _, d := range downlinks {
		b = join(b, u64(d.ID), prefixed(d.Frame))
	}
	b = join(b, u64(roster), u32(uint32(len(changes))))
	for _, e := range changes {
		b = join(b, u64(e.ID), e.Hash)
	}
	return b
}

// Messages is a batch for the TTP (section 7.2).
func Messages(messages [][]byte) []byte { return join(u8(1), list(messages)) }

// PassedReceipt is a receipt's body on its way through the utility.
type PassedReceipt struct {
	AnID uint64
	Low  byte
	Body []byte
}

// Verdicts is the answer to a batch (section 7.2).
func Verdicts(verdicts []byte, receipts []PassedReceipt) []byte {
	b := join(u8(1), u32(uint32(len(verdicts))), verdicts, u32(uint32(len(receipts))))
	for _, r := range receipts {
		b = join(b, u64(r.AnID), u8(r.Low), r.Body)
	}
	return b
}

// ExchangeRequest is an M1 or M3 under a pseudonym.
type ExchangeRequest struct {
	Type byte
	AnID uint64
	Low  byte
	Body []byte
}

// Exchanges is a batch of exchanges (section 7.3).
func Exchanges(requests []ExchangeRequest) []byte {
	b := join(u8(1), u32(uint32(len(requests))))
	for _, r := range requests {
		b = join(b, u8(r.Type), u64(r.AnID), u8(r.Low), prefixed(r.Body))
	}
	return b
}

// ExchangeAnswer is a verdict and the body of an M2, if any.
type ExchangeAnswer struct {
	Verdict byte
	M2      []byte
}

// ExchangeAnswers is the answer to a batch of exchanges (section 7.3).
func ExchangeAnswers(answers []ExchangeAnswer) []byte {
	b := join(u8(1), u32(uint32(len(answers))))
	for _, a := range answers {
		b = join(b, u8(a.Verdict), prefixed(a.M2))
	}
	return b
}

func list(items [][]byte) []byte {
	b := u32(uint32(len(items)))
	for _, item := range items {
		b = join(b, prefixed(item))
	}
	return b
}
