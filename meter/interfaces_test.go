package meter_test

import (
	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/source"
)

var (
	_ meter.Link   = (*link.Client)(nil)
	_ meter.Source = (*source.Registers)(nil)
)
