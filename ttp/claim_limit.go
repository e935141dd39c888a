package ttp

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Of spec/portal.md section 1.3.
const (
	claimsPerSecond = 20
	claimsAtOnce    = 200
	failuresPerHour = 10
	limitedLocators = 1 << 17 // that are remembered: more than can fail in an hour
)

// claimLimits bounds what strangers can make the TTP do and say. It keeps no
// address.
type claimLimits struct {
	mu       sync.Mutex
	left     float64 // claims that may come now
	at       time.Time
	failures *lru.Cache[uint32, failures]
}

// failures are those of one locator in an hour.
type failures struct {
	since time.Time
	count int
}

func newClaimLimits() (*claimLimits, error) {
	cache, err := lru.New[uint32, failures](limitedLocators)
	return &claimLimits{left: claimsAtOnce, failures: cache}, err
}

// admit takes one of the claims that may come at once.
func (l *claimLimits) admit(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if passed := now.Sub(l.at); passed > 0 {
		l.left = min(claimsAtOnce, l.left+passed.Seconds()*claimsPerSecond)
		l.at = now
	}
	if l.left < 1 {
		return false
	}
	l.left--
	return true
}

// admitFailure counts a failure of a locator and tells whether it is within
// the limit.
func (l *claimLimits) admitFailure(locator uint32, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.failures.Get(locator)
	if !ok || now.Sub(f.since) >= time.Hour {
		f = failures{since: now}
	}
	f.count++
	l.failures.Add(locator, f)
	return f.count <= failuresPerHour
}
