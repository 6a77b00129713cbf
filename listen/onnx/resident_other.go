//go:build !linux

package onnx

// letGo does nothing where the system has no way to ask for it.
func letGo() {}
