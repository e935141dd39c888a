package collector

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/wire"
)

// roster is who may connect: the SHA-256 of each meter's link password. It is
// not changed once made.
//
// Its file, all integers big-endian: version 4, serial 8, count 4, then for
// each meter, rising, ID_SM 8 and hash 32, and at the end the SHA-256 of all
// before it.
type roster struct {
	serial uint64
	hashes map[wattveil.MeterID][sha256.Size]byte
}

const (
	rosterVersion = 1
	rosterHead    = 4 + 8 + 4
	rosterEntry   = 8 + sha256.Size
	rosterMode    = 0o600
)

// allows tells whether a password is the meter's. It takes as long for a meter
// that is not on the roster.
func (r *roster) allows(id wattveil.MeterID, password string) bool {
	want, known := r.hashes[id]
	got := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known
}

// apply is the roster after changes, and the meters whose password is not what
// it was.
func (r *roster) apply(serial uint64, changes []wire.RosterEntry) (*roster, []wattveil.MeterID) {
	next := &roster{serial: serial, hashes: maps.Clone(r.hashes)}
	var changed []wattveil.MeterID
	for _, c := range changes {
		before, known := next.hashes[c.ID]
		if known && before != c.Hash {
			changed = append(changed, c.ID)
		}
		if c.Hash == ([sha256.Size]byte{}) {
			delete(next.hashes, c.ID)
		} else {
			next.hashes[c.ID] = c.Hash
		}
	}
	return next, changed
}

func (r *roster) encode() []byte {
	b := make([]byte, 0, rosterHead+len(r.hashes)*rosterEntry+sha256.Size)
	b = binary.BigEndian.AppendUint32(b, rosterVersion)
	b = binary.BigEndian.AppendUint64(b, r.serial)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.hashes)))
	for _, id := range slices.Sorted(maps.Keys(r.hashes)) {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
		hash := r.hashes[id]
		b = append(b, hash[:]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

var errRoster = errors.New("it is damaged or of another version; move it away, the utility sends the roster again")

func decodeRoster(b []byte) (*roster, error) {
	if len(b) < rosterHead+sha256.Size {
		return nil, errRoster
	}
	content, sum := b[:len(b)-sha256.Size], sha256.Sum256(b[:len(b)-sha256.Size])
	if [sha256.Size]byte(b[len(content):]) != sum || binary.BigEndian.Uint32(content) != rosterVersion {
		return nil, errRoster
	}
	entries, count := content[rosterHead:], binary.BigEndian.Uint32(content[12:])
	if uint64(len(entries)) != uint64(count)*rosterEntry {
		return nil, errRoster
	}
	r := &roster{serial: binary.BigEndian.Uint64(content[4:]), hashes: make(map[wattveil.MeterID][sha256.Size]byte, count)}
	for i := range int(count) {
		e := entries[i*rosterEntry:]
		id := wattveil.MeterID(binary.BigEndian.Uint64(e))
		hash := [sha256.Size]byte(e[8:rosterEntry])
		if hash == ([sha256.Size]byte{}) || (i > 0 && uint64(id) <= binary.BigEndian.Uint64(entries[(i-1)*rosterEntry:])) {
			return nil, errRoster
		}
		r.hashes[id] = hash
	}
	return r, nil
}

// loadRoster reads the roster's file. Without one the roster is empty.
func loadRoster(path string) (*roster, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &roster{hashes: make(map[wattveil.MeterID][sha256.Size]byte)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the roster: %w", err)
	}
	r, err := decodeRoster(b)
	if err != nil {
		return nil, fmt.Errorf("read the roster in %s: %w", path, err)
	}
	return r, nil
}

func (r *roster) save(path string) error {
	if err := folder.WriteFile(path, r.encode(), rosterMode); err != nil {
		return fmt.Errorf("keep the roster: %w", err)
	}
	return nil
}
