// Package openapi holds the descriptions (OpenAPI 3.1) of the APIs that utility
// and TTP have for their operators: utility.json and ttp.json. The servers give
// the same at /openapi.json of the socket in their folders. The files are
// written by "go generate"; never edit them by hand.
package openapi

//go:generate go run ./generate
