package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wattveil/wattveil/gate"
	"github.com/wattveil/wattveil/rating"
)

// open are limits of a disclosure gate that let any bill be told.
func open() gate.Settings {
	return gate.Settings{
		MinDays: 1, Quantities: 64, RevealNum: 1, RevealDen: 1, Window: time.Second, DemandPerMonth: 100, PriceLimit: 1_000_000,
	}
}

// limits are those of the demo's gate: the defaults, or none where these would
// refuse the bills, as they do for a few hours or for a band of a few. Then rule
// says why.
func (in *input) limits() (s gate.Settings, rule gate.Rule, err error) {
	told, err := rating.Answers(in.tariff, in.resolution, in.from, in.to, nil)
	if err != nil {
		return s, "", err
	}
	g, err := gate.New(s)
	if err != nil {
		return s, "", err
	}
	shape, err := g.NewShape(told.Answers)
	if err == nil {
		_, err = g.Check(&gate.History{}, gate.Bill{Shape: shape, Now: in.to.Unix(), Demand: told.Demand}, nil)
	}
	refusal, ok := errors.AsType[*gate.Refusal](err)
	if !ok {
		return s, "", err
	}
	return open(), refusal.Rule, nil
}

// writeGate says so if the gate was opened.
func writeGate(w io.Writer, s gate.Settings, rule gate.Rule) {
	if rule == "" {
		return
	}
	fmt.Fprintf(w, "\na TTP would refuse such bills by rule %s; here its gate is looser:\n", string(rule))
	room := 80
	for i, name := range s.Looser() {
		switch {
		case i == 0:
		case room < len(name)+len(", ,"):
			name, room = ",\n"+name, 80
		default:
			name = ", " + name
		}
		room -= len(name)
		fmt.Fprint(w, name)
	}
	fmt.Fprintln(w)
}
