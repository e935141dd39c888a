package grid

import (
	"github.com/wattveil/wattveil/portal"
)

// ClaimReport is the code with which a household claims its meter.
type ClaimReport struct {
	Column    string `json:"column"`
	Pseudonym string `json:"pseudonym"`
	Code      string `json:"code"`
}

// Portal is the TTP's portal for consumers. url is where their browsers reach
// it. A hard stop of the TTP ends it.
func (g *Grid) Portal(url string) (*portal.Server, error) {
	return portal.New(portal.Config{
		URL: url, TTP: g.ttpRole().Consumers(), Now: g.clock.Now, Log: g.cfg.Log(TTPOrg),
	})
}

// Claims are the codes that the meters show at present.
func (g *Grid) Claims() []ClaimReport {
	list := []ClaimReport{}
	for _, m := range g.meters {
		if code, ok := m.agent.ClaimCode(); ok {
			list = append(list, ClaimReport{Column: m.column, Pseudonym: m.agent.Status().Meter.Pseudonym.String(), Code: code})
		}
	}
	return list
}
