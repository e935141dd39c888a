// Package openapi holds the descriptions (OpenAPI 3.1) of the APIs that utility,
// TTP and collector have for their operators: utility.json, ttp.json and
// collector.json. The servers give the same at /openapi.json of the socket in their folders. The files are
// written by "go generate"; never edit them by hand.
package openapi

//go:generate go run ./generate
