package grid

import (
	"net/http"

	"github.com/wattveil/wattveil/peer"
	"github.com/wattveil/wattveil/utility/api"
)

// UtilityAPI is the utility's API for its operator. A hard stop of the utility
// ends it.
func (g *Grid) UtilityAPI() http.Handler {
	n := g.utility
	return api.New(api.Config{
		Utility: g.utilityRole(), Peers: noPeers{}, Self: n.identity, Started: g.clock.Now(), Now: g.clock.Now,
		Server: func() (peer.Contact, error) {
			return peer.Contact{Name: n.identity.Name, URL: "https://" + n.address, Authorities: n.authority.Certificates()}, nil
		},
	})
}

// noPeers are the contacts that operators have handed over: the grid has
// connected its parties itself.
type noPeers struct{}

func (noPeers) Add(peer.Contact) error        { return nil }
func (noPeers) List() ([]peer.Contact, error) { return nil, nil }
