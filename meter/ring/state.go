package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

const (
	stateMagic = "wvr1"
	stateHead  = len(stateMagic) + 8 + 4 + 4
	sumOffset  = stateHead - 4
)

func (d *Disk) statePath(slot int) string {
	return filepath.Join(d.dir, "state."+strconv.Itoa(slot))
}

// loadState finds the newest state that reads. The next one goes into the
// other file.
func (d *Disk) loadState() error {
	for slot := range 2 {
		generation, state, err := readState(d.statePath(slot))
		if err != nil {
			return err
		}
		if state != nil && generation > d.generation {
			d.generation, d.state = generation, state
			d.slot = 1 - slot
		}
	}
	if d.state == nil {
		return nil
	}
	return syncFile(d.statePath(1 - d.slot)) // it may not have been, and is the one to fall back on
}

// readState reads a state file: nil if there is none or it was torn.
func readState(path string) (generation uint64, state []byte, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	if len(b) < stateHead || string(b[:len(stateMagic)]) != stateMagic {
		return 0, nil, nil
	}
	length := binary.BigEndian.Uint32(b[sumOffset-4:])
	if uint64(length) > uint64(len(b)-stateHead) {
		return 0, nil, nil
	}
	state = b[stateHead : stateHead+int(length)]
	if stateSum(b[:sumOffset], state) != binary.BigEndian.Uint32(b[sumOffset:]) {
		return 0, nil, nil
	}
	return binary.BigEndian.Uint64(b[len(stateMagic):]), state, nil
}

func stateSum(head, state []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, state)
}

// Save keeps a state in the place of the one before, and syncs if that is due.
func (d *Disk) Save(state []byte) error {
	if len(state) > maxStateBytes {
		return fmt.Errorf("ring %s: save state: %d bytes, want at most %d", d.dir, len(state), maxStateBytes)
	}
	if err := d.save(state); err != nil {
		return fmt.Errorf("ring %s: save state: %w", d.dir, err)
	}
	return nil
}

func (d *Disk) save(state []byte) error {
	d.generation++
	b := append(d.buf[:0], stateMagic...)
	b = binary.BigEndian.AppendUint64(b, d.generation)
	b = binary.BigEndian.AppendUint32(b, uint32(len(state)))
	b = binary.BigEndian.AppendUint32(b, stateSum(b, state))
	b = append(b, state...)
	d.buf = b
	f, err := os.OpenFile(d.statePath(d.slot), os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	d.stale = true
	now := d.opts.Now()
	if d.synced.IsZero() || now.Sub(d.synced) >= d.opts.SyncEvery || now.Before(d.synced) {
		return d.Sync()
	}
	return nil
}

// syncState makes the state durable and turns to the other file.
func (d *Disk) syncState() error {
	if !d.stale {
		return nil
	}
	if err := errors.Join(syncFile(d.statePath(d.slot)), syncFolder(d.dir)); err != nil {
		return err
	}
	d.stale, d.slot = false, 1-d.slot
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
