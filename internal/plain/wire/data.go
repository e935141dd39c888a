package wire

// Reading is both registers at the end of an interval.
type Reading struct {
	Time           uint32 // Unix seconds
	Import, Export uint64 // Wh, below 2^40
	Status         uint16
}

// divisors lists the intervals of section 6.1 in seconds.
func divisors() []int {
	var list []int
	for s := 1; s <= 3600; s++ {
		if 3600%s == 0 {
			list = append(list, s)
		}
	}
	return list
}

// Code is the interval code of a number of seconds, 0 if there is none.
func Code(seconds int) byte {
	for i, s := range divisors() {
		if s == seconds {
			return byte(i + 1)
		}
	}
	return 0
}

// BlockSize is 24·k.
func BlockSize(n int) int {
	k := 0
	for 24*k < 24+4*(n-1) {
		k++
	}
	return 24 * k
}

// Block is the reading block of section 6.1. The readings must fit one.
func Block(interval int, readings []Reading) []byte {
	first := readings[0]
	b := join(u8(0x10), u8(Code(interval)), u8(byte(len(readings))), u32(first.Time),
		u64(first.Import)[3:], u64(first.Export)[3:], u16(first.Status))
	for i := 1; i < len(readings); i++ {
		was, is := readings[i-1], readings[i]
		b = join(b, u16(delta(was.Import, is.Import)), u16(delta(was.Export, is.Export)))
	}
	for i := 1; i < len(readings); i++ {
		if readings[i].Status != readings[i-1].Status {
			b = join(b, u8(byte(i)), u16(readings[i].Status))
		}
	}
	size := BlockSize(len(readings))
	if len(b) > size {
		panic("more status runs than fit")
	}
	return join(b, make([]byte, size-len(b)))
}

// delta is how far a register has gone, across at most one rollover.
func delta(was, is uint64) uint16 {
	if is < was {
		is += 1 << 40
	}
	if is-was > 65535 {
		panic("a delta that does not fit")
	}
	return uint16(is - was)
}

// ReadBlock reads a block, or gives false if the specification refuses it.
func ReadBlock(b []byte) (interval int, readings []Reading, ok bool) {
	if len(b) < 24 || b[0] != 0x10 || b[1] < 1 || int(b[1]) > len(divisors()) {
		return 0, nil, false
	}
	interval = divisors()[b[1]-1]
	n := int(b[2])
	if n == 0 || len(b) != BlockSize(n) || number(b[3:7])+uint64((n-1)*interval) > 1<<32-1 {
		return 0, nil, false
	}
	status := make([]uint16, n)
	if !readStatus(status, uint16(number(b[17:19])), b[19+4*(n-1):]) {
		return 0, nil, false
	}
	r := Reading{Time: uint32(number(b[3:7])), Import: number(b[7:12]), Export: number(b[12:17]), Status: status[0]}
	readings = append(readings, r)
	for i := 1; i < n; i++ {
		at := 19 + 4*(i-1)
		r.Time += uint32(interval)
		r.Import = (r.Import + number(b[at:at+2])) % (1 << 40)
		r.Export = (r.Export + number(b[at+2:at+4])) % (1 << 40)
		r.Status = status[i]
		readings = append(readings, r)
	}
	return interval, readings, true
}

// readStatus fills the status of each reading from the first one and the runs
// at the end of the block.
func readStatus(status []uint16, first uint16, rest []byte) bool {
	changes := map[int]uint16{}
	last, now := 0, first
	for len(rest) >= 3 && rest[0] > 0 {
		index, next := int(rest[0]), uint16(number(rest[1:3]))
		if index <= last || index >= len(status) || next == now {
			return false
		}
		changes[index] = next
		last, now, rest = index, next, rest[3:]
	}
	for i := range status {
		if next, ok := changes[i]; ok {
			first = next
		}
		status[i] = first
	}
	return string(rest) == string(make([]byte, len(rest)))
}

func number(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n*256 + uint64(c)
	}
	return n
}

// DataKeys are what a data message needs besides its counter and block.
type DataKeys struct {
	ID, AnID  uint64
	UC, Epoch uint32
	Key, Salt []byte // k_up, salt_up
	TagKey    []byte // K_mac
}

func header(id uint64, epoch, counter uint32) []byte {
	return join(u8(Data), u64(id), u8(byte(epoch)), u32(counter))
}

// Nonce is salt_up ⊕ (0^8 bytes ‖ counter).
func Nonce(salt []byte, counter uint32) []byte {
	nonce := join(make([]byte, 8), u32(counter))
	for i := range nonce {
		nonce[i] ^= salt[i]
	}
	return nonce
}

// AAD is what a message authenticates besides its ciphertext.
func (k DataKeys) AAD(counter uint32) []byte {
	return join(u32(k.UC), header(k.AnID, k.Epoch, counter), u32(k.Epoch))
}

// Message is a data message as the meter sends it (section 6.2).
func (k DataKeys) Message(counter uint32, block []byte) []byte {
	sealed := gcm(k.Key).Seal(nil, Nonce(k.Salt, counter), block, k.AAD(counter))
	covered := join(header(k.ID, k.Epoch, counter), sealed)
	return join(covered, HMAC(k.TagKey, covered)[:16])
}

// ForTTP is the message as the utility sends it on.
func (k DataKeys) ForTTP(message []byte) []byte {
	return join(u8(Data), u64(k.AnID), message[9:len(message)-16])
}

// OpenMessage gives the block in a message of the TTP's form, or false.
func (k DataKeys) OpenMessage(message []byte) ([]byte, bool) {
	if len(message) < 14+16 {
		return nil, false
	}
	counter := uint32(number(message[10:14]))
	if string(message[:14]) != string(header(k.AnID, k.Epoch, counter)) {
		return nil, false
	}
	block, err := gcm(k.Key).Open(nil, Nonce(k.Salt, counter), message[14:], k.AAD(counter))
	return block, err == nil
}
