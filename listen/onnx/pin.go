//go:build assets

package onnx

// The shared library that models/assets.mjs embeds is this module's: the import
// keeps its version and checksum in go.mod and go.sum. No build links it.
import _ "github.com/k2-fsa/sherpa-onnx-go-linux"
