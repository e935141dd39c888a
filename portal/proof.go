package portal

import (
	"time"

	"github.com/wattveil/wattveil"
)

const (
	cookieProof = "__Host-proof"
	proofLasts  = 15 * time.Minute
	openProofs  = 1 << 15 // more than the limit of claims lets come in that time
)

// keepProof notes that this browser has proved a meter.
func (v *visit) keepProof(m wattveil.Meter) {
	v.set(cookieProof, v.s.proofs.begin(m, v.s.cfg.Now()), proofLasts)
}

// proved is the meter that this browser has proved.
func (v *visit) proved() (wattveil.Meter, error) {
	m, ok := v.s.proofs.see(v.cookie(cookieProof), v.s.cfg.Now())
	if !ok {
		return m, classNoProof
	}
	return m, nil
}

// useProof takes it, so that it counts once.
func (v *visit) useProof() (wattveil.Meter, error) {
	m, ok := v.s.proofs.end(v.cookie(cookieProof), v.s.cfg.Now())
	v.clear(cookieProof)
	if !ok {
		return m, classNoProof
	}
	return m, nil
}
