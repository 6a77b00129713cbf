//go:build cgo

package main

import "github.com/spf13/cobra"

// deviceCommands are the commands that consent, hear and understand. They need
// cgo for the microphone and the models, and are left out of a server build.
func deviceCommands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newEnrolCommand(e),
		newWithdrawCommand(e),
		newEraseCommand(e),
		newOutboxCommand(e),
		newListenCommand(e),
		newDetectCommand(e),
		newBenchCommand(e),
		newEvalCommand(e),
		newDemoCommand(e),
	}
}
