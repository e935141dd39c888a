package wire

import "crypto/hmac"

// RegisterContent is the sealed part of a registration request (section 4.1).
func RegisterContent(nonce []byte, time uint64, mu []byte) []byte {
	return join(u8(1), nonce, u64(time), mu)
}

// AnswerContent is the sealed part of a registration answer (section 4.2).
func AnswerContent(anID uint64, uc, epochBase uint32, time uint64, d, rootKey, statement, ttpStatement, root []byte) []byte {
	return join(u64(anID), u32(uc), u32(epochBase), u64(time), d, rootKey,
		prefixed(statement), prefixed(ttpStatement), prefixed(root))
}

// RefusalContent is the sealed part of a registration refusal (section 4.3).
func RefusalContent(nonce []byte, time uint64, reason byte) []byte {
	return join(nonce, u64(time), u8(reason))
}

// Seal makes a registration frame of any of the three types. request is the
// frame that is answered, nil in a request.
func Seal(secret []byte, kind byte, id uint64, r, content, request []byte) []byte {
	key, nonce, _ := OneTime(secret, r, kind, id)
	prefix := join(u8(kind), u64(id), r)
	return join(prefix, gcm(key).Seal(nil, nonce, content, sealedAAD(prefix, request)))
}

// Open gives the content of a registration frame, or false.
func Open(secret []byte, kind byte, id uint64, frame, request []byte) ([]byte, bool) {
	if len(frame) < 1+8+16+16 || string(frame[:9]) != string(join(u8(kind), u64(id))) {
		return nil, false
	}
	key, nonce, _ := OneTime(secret, frame[9:25], kind, id)
	content, err := gcm(key).Open(nil, nonce, frame[25:], sealedAAD(frame[:25], request))
	return content, err == nil
}

func sealedAAD(prefix, request []byte) []byte {
	if request == nil {
		return prefix
	}
	return join(prefix, hash(request))
}

// Control makes a frame with a UC tag: M1, M2, M3, a notice or a receipt
// (sections 5.1, 7.4, 4.6 and 6.4).
func Control(secret []byte, kind byte, id uint64, low byte, r, body []byte) []byte {
	_, _, macKey := OneTime(secret, r, kind, id)
	covered := join(u8(kind), u64(id), u8(low), r, body)
	return join(covered, HMAC(macKey, covered)[:16])
}

// OpenControl gives the low byte of the epoch and the body of a frame with a UC
// tag, or false.
func OpenControl(secret []byte, kind byte, id uint64, frame []byte) (low byte, body []byte, ok bool) {
	if len(frame) < 1+8+1+16+16 || string(frame[:9]) != string(join(u8(kind), u64(id))) {
		return 0, nil, false
	}
	covered, tag := frame[:len(frame)-16], frame[len(frame)-16:]
	_, _, macKey := OneTime(secret, frame[10:26], kind, id)
	if !hmac.Equal(HMAC(macKey, covered)[:16], tag) {
		return 0, nil, false
	}
	return covered[9], covered[26:], true
}
