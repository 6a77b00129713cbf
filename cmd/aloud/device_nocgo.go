//go:build !cgo

package main

import "github.com/spf13/cobra"

// deviceCommands is empty in a server build, which has no ears.
func deviceCommands(*env) []*cobra.Command { return nil }
