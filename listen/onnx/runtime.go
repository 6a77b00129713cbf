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
	return shareArena()
}

// shareArena lets all sessions take their memory from one place that grows by
// powers of two: in large pieces what was freed grows together again, however
// many lengths utterances have. Pages that nobody wrote to are not resident.
func shareArena() error {
	where, err := ort.GetMemoryInfo()
	if err != nil {
		return err
	}
	cfg, err := ort.NewArenaCfg(0, 0, -1, -1)
	if err != nil {
		return err
	}
	defer cfg.Destroy()
	return ort.CreateAndRegisterAllocator(where, cfg)
}

// openSession loads one model. Memory patterns are off: they would keep one plan
// for each length an utterance ever had.
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
		func() error { return options.AddSessionConfigEntry("session.use_env_allocators", "1") },
	} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	return ort.NewDynamicAdvancedSession(file, inputs, outputs, options)
}
