//go:build cgo

package main

import (
	"slices"

	"github.com/spf13/cobra"

	"aloud.example/aloud/consent"
)

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

// modelFlag adds --model to a command that hears.
func modelFlag(c *cobra.Command, model *string) {
	c.Flags().StringVar(model, "model", "base", "base or tiny")
	_ = c.RegisterFlagCompletionFunc("model", cobra.FixedCompletions([]string{"base", "tiny"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// completePurposes offers the purposes that are not on the command line yet.
func completePurposes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range consent.AllPurposes() {
		if !slices.Contains(args, string(p)) {
			names = append(names, string(p))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
