package onnx

import (
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"aloud.example/aloud"
)

// library is ONNX Runtime, of which a process has one: the C library keeps its
// own state, so this is the one variable the package can't do without.
var library struct {
	mu sync.Mutex
}

// loadLibrary loads ONNX Runtime from a file, once a process.
func loadLibrary(file string) error {
	library.mu.Lock()
	defer library.mu.Unlock()
	if ort.IsInitialized() {
		return nil
	}
	ort.SetSharedLibraryPath(file)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "loading ONNX Runtime (%w): is this binary built for this machine?", err)
	}
	return nil
}

// openSession loads one model. Nothing but the threads is left to chance: no
// arena and no memory patterns, so that resident memory follows what is in use
// and does not creep up with utterances of ever new lengths.
func openSession(file string, inputs, outputs []string, threads int) (*ort.DynamicAdvancedSession, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { _ = options.Destroy() }()
	for _, set := range []func() error{
		func() error { return options.SetIntraOpNumThreads(threads) },
		func() error { return options.SetInterOpNumThreads(1) },
		func() error { return options.SetExecutionMode(ort.ExecutionModeSequential) },
		func() error { return options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll) },
		func() error { return options.SetCpuMemArena(true) },
		func() error { return options.SetMemPattern(false) },
		func() error { return options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
	} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	return ort.NewDynamicAdvancedSession(file, inputs, outputs, options)
}
