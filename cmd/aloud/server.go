package main

import "github.com/spf13/cobra"

// serverCommands are in every build: the server and what needs no ears.
func serverCommands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(e),
		newDoctorCommand(e),
		newVerifyCommand(e),
	}
}
