//go:build !cgo

package main

import "context"

// device finds nothing: a server build is no device.
func (x *examination) device(_ context.Context, o doctorOptions) (server string) {
	if o.home != "" {
		x.add("device", "folder", skipped, "this build is a server's: it has no ears, and knows no device's folder", "")
	}
	return ""
}
