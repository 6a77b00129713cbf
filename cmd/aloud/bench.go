//go:build cgo

package main

import "github.com/spf13/cobra"

// newBenchCommand groups the commands that measure how fast and how small Aloud
// is.
func newBenchCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		GroupID: "check",
		Short:   "Measure how fast and how small Aloud is",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(newBenchE2ECommand(e))
	return cmd
}
