package wire

// Span is a span of reading times, both ends in it.
type Span struct{ First, Last uint32 }

// ReceiptText is the plaintext of a receipt (section 6.4).
func ReceiptText(takeover uint16, time, from, through uint32, missing []Span) []byte {
	b := join(u8(0x10), u8(byte(len(missing))), u16(takeover), u32(time), u32(from), u32(through))
	for _, s := range missing {
		b = join(b, u32(s.First), u32(s.Last))
	}
	return join(b, make([]byte, max(0, 128-len(b))))
}

// receiptHeader is the part of the additional data that stands in the place of
// a message's header.
func (k DataKeys) receiptHeader(counter uint32) []byte {
	return join(u8(Receipt), u64(k.AnID), u8(byte(k.Epoch)), u32(counter))
}

// ReceiptAAD is what a receipt authenticates besides its ciphertext.
func (k DataKeys) ReceiptAAD(counter uint32) []byte {
	return join(u32(k.UC), k.receiptHeader(counter), u32(k.Epoch))
}

// ReceiptBody seals a receipt; Key and Salt are those of the downlink.
func (k DataKeys) ReceiptBody(counter uint32, text []byte) []byte {
	return join(u32(counter), gcm(k.Key).Seal(nil, Nonce(k.Salt, counter), text, k.ReceiptAAD(counter)))
}

// OpenReceipt gives the counter and the plaintext of a receipt, or false.
func (k DataKeys) OpenReceipt(body []byte) (counter uint32, text []byte, ok bool) {
	if len(body) < 4 {
		return 0, nil, false
	}
	counter = uint32(number(body[:4]))
	text, err := gcm(k.Key).Open(nil, Nonce(k.Salt, counter), body[4:], k.ReceiptAAD(counter))
	return counter, text, err == nil
}
