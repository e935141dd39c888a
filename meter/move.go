package meter

import (
	"fmt"
	"sort"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// movePatience is how long after a boundary the meter tries to hand over the
// readings up to there, in seconds. Those that are left then are lost.
const movePatience = 7 * secondsPerDay

// moveNotice notes when another pseudonym takes over (spec/protocol.md section
// 4.6). What is sealed already stays with the present one.
func (a *Agent) moveNotice(frame []byte) error {
	at, err := a.cfg.Provision.Secret.OpenMoveNotice(a.cfg.Provision.Meter, frame)
	switch {
	case err != nil:
		return err
	case at <= a.state.first:
		return fmt.Errorf("%w: notice of a move that is over", wire.Replayed)
	case a.state.registration == nil, a.state.nextUser != nil, at <= a.state.move:
		return nil // it registers anyway, or knows
	}
	sealed, err := a.newestSealed()
	if err != nil {
		return localError{fmt.Errorf("note a move: %w", err)}
	}
	next := a.state
	next.move = max(at, sealed)
	if err := a.save(next); err != nil {
		return fmt.Errorf("note a move: %w", err)
	}
	a.cfg.Log.Info("another pseudonym takes over", "meter", a.cfg.Provision.Meter)
	return nil
}

// newestSealed is the time of the newest reading that was ever sealed and is
// in the ring still; 0 if there is none.
func (a *Agent) newestSealed() (int64, error) {
	for i := len(a.ledger.extents) - 1; i >= 0; i-- {
		if !a.ledger.extents[i].sealed {
			continue
		}
		for n := a.ledger.extents[i].end; n > a.ledger.start(i); n-- {
			at, r, err := a.readable(n-1, n)
			if err != nil || at < n {
				return r.Time, err
			}
		}
	}
	return 0, nil
}

// moveDue tells whether the meter is to ask for its new pseudonym.
func (a *Agent) moveDue() bool {
	switch now := a.clock(); {
	case a.state.nextUser != nil:
		return true // it has asked
	case a.state.move == 0 || now < a.state.move:
		return false
	default:
		return now >= a.state.move+movePatience || a.handedOver()
	}
}

// handedOver tells whether collectors hold all readings up to the boundary.
func (a *Agent) handedOver() bool {
	if a.holds || a.out.n > 0 || !a.ended && a.next <= a.state.move {
		return false
	}
	behind, err := a.find(a.state.move + 1)
	if err != nil {
		return false // the ring is read again with the next step
	}
	from, to := a.ledger.pending()
	return from == to || from >= behind
}

// prepareMove draws the user key of the pseudonym to come. Under the present
// one, the TTP would see that both are one meter.
func (a *Agent) prepareMove() error {
	if a.state.nextUser != nil || !a.moveDue() {
		return nil
	}
	user, err := clpke.NewUserKey()
	if err != nil {
		return localError{fmt.Errorf("make user key: %w", err)}
	}
	next := a.state
	next.nextUser = user
	if err := a.save(next); err != nil {
		return err
	}
	a.requests = nil
	return nil
}

// asking is the user key that the meter asks for a statement of.
func (a *Agent) asking() *clpke.UserKey {
	if a.state.nextUser != nil {
		return a.state.nextUser
	}
	return a.state.user
}

// beforeBoundary is the part of rising readings that may be sealed under the
// present pseudonym.
func (a *Agent) beforeBoundary(readings []wattveil.Reading) []wattveil.Reading {
	if a.state.move == 0 {
		return readings
	}
	n := sort.Search(len(readings), func(i int) bool { return readings[i].Time > a.state.move })
	return readings[:n]
}

// goOver ends a pseudonym and gives the state in which the next one begins. The
// ring is left with the last reading up to the boundary, which goes under both,
// and those behind it, all to be sealed. Earlier ones, sealed under the new
// pseudonym, would tell the TTP whose it was.
func (a *Agent) goOver(next state) (state, error) {
	n, first, err := a.boundary()
	if err == nil {
		err = a.ring.Drop(n)
	}
	if err != nil {
		return next, localError{fmt.Errorf("drop the readings of the pseudonym before: %w", err)}
	}
	a.counts.ReadingsDropped += uint64(a.out.n)
	a.counts.ReadingsDropped += uint64(a.ledger.advance(n))
	a.ledger.restart()
	a.session, a.confirm, a.receipts = nil, nil, receipts{}
	a.out.drop()
	next.confirmed, next.before, next.reserved = nil, chain{}, 0
	next.user, next.nextUser, next.move, next.first = next.nextUser, nil, 0, first
	return next, nil
}

// boundary is the number and the time of the first reading of the pseudonym to
// come.
func (a *Agent) boundary() (n uint64, first int64, err error) {
	behind, err := a.find(a.state.move + 1)
	if err != nil || behind == a.ledger.head {
		return behind, a.state.move + 1, err
	}
	n, r, err := a.readable(behind-1, behind)
	if err != nil || n == behind {
		return behind, a.state.move + 1, err
	}
	return n, r.Time, nil
}

// keepFrom gives the number of the first reading in a ring that belongs to the
// present pseudonym, when the ring was kept under the one before: a stop came
// between the vault and the ring.
func (a *Agent) keepFrom(head, tail uint64) (uint64, error) {
	if a.state.first == 0 {
		return tail, nil
	}
	a.ledger = ledger{head: head, tail: tail}
	return a.find(a.state.first)
}
