package mic

import (
	"slices"
	"strings"

	"github.com/gen2brain/malgo"

	"aloud.example/aloud"
)

// Device is a microphone, or something that behaves like one.
type Device struct {
	Name    string
	Default bool
}

// Devices lists the microphones of this machine. It opens none of them.
func Devices(cfg Config) ([]Device, error) {
	h, err := openHost(cfg)
	if err != nil {
		return nil, err
	}
	defer h.close()
	found, err := h.captures()
	if err != nil {
		return nil, err
	}
	var list []Device
	for _, info := range found {
		list = append(list, Device{Name: info.Name(), Default: info.IsDefault != 0})
	}
	return list, nil
}

// host is the audio system of the machine.
type host struct {
	ctx *malgo.AllocatedContext
}

func openHost(cfg Config) (*host, error) {
	// The list is our own: miniaudio's ends in a device that hears silence for
	// ever, and nobody would be told that there is no microphone.
	backends := []malgo.Backend{
		malgo.BackendWasapi, malgo.BackendDsound, malgo.BackendWinmm, malgo.BackendCoreaudio, malgo.BackendSndio,
		malgo.BackendAudio4, malgo.BackendOss, malgo.BackendPulseaudio, malgo.BackendAlsa, malgo.BackendJack,
	}
	if cfg.Silent {
		// malgo 0.11.24 counts one too few: miniaudio has a "custom" backend first.
		backends = []malgo.Backend{malgo.BackendNull + 1}
	}
	ctx, err := malgo.InitContext(backends, malgo.ContextConfig{}, nil)
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "this machine has no audio system to record with (%w): start PulseAudio or PipeWire, or listen to a file", err)
	}
	return &host{ctx: ctx}, nil
}

func (h *host) close() {
	_ = h.ctx.Uninit() // nothing can be done about it, and the process goes on
	h.ctx.Free()
}

func (h *host) captures() ([]malgo.DeviceInfo, error) {
	found, err := h.ctx.Devices(malgo.Capture)
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the microphones can't be listed: %w", err)
	}
	return slices.DeleteFunc(found, func(d malgo.DeviceInfo) bool {
		id, _, _ := strings.Cut(string(d.ID[:]), "\x00")
		return plugin(id, d.Name())
	}), nil
}

// plugin reports whether a device is one of ALSA's converters or its source of
// silence, which ALSA lists beside the microphones. The names are those of the
// configuration that comes with it.
func plugin(id, name string) bool {
	switch id {
	case "null", "lavrate", "samplerate", "speexrate", "speex", "jack", "oss", "upmix", "vdownmix", "usbstream", "dsnoop", "dmix":
		return true
	}
	name = strings.ToLower(name)
	for _, part := range []string{
		"discard all samples", "rate converter plugin", "jack audio connection kit", "open sound system",
		"plugin using speex dsp", "plugin for channel upmix", "plugin for channel downmix",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// find returns the one microphone that a name means: all of its name, or a part
// that no other has. The default one has no name.
func (h *host) find(name string) (*malgo.DeviceInfo, error) {
	found, err := h.captures()
	if err != nil {
		return nil, err
	}
	var part []*malgo.DeviceInfo
	var names []string
	for i := range found {
		if found[i].Name() == name {
			return &found[i], nil
		}
		if strings.Contains(strings.ToLower(found[i].Name()), strings.ToLower(name)) {
			part = append(part, &found[i])
		}
		names = append(names, "\""+found[i].Name()+"\"")
	}
	switch {
	case len(found) == 0:
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no microphone %.80q: this machine has none", name)
	case len(part) == 0:
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no microphone %.80q: this machine has %s", name, strings.Join(names, ", "))
	case len(part) > 1:
		return nil, aloud.Errorf(aloud.EINVALID, "%.80q fits more than one of the microphones %s: give the whole name", name, strings.Join(names, ", "))
	}
	return part[0], nil
}

// Known reports whether there is a microphone of that name, so that nobody is
// asked to confirm a session that can't begin.
func Known(cfg Config) error {
	h, err := openHost(cfg)
	if err != nil {
		return err
	}
	defer h.close()
	_, err = h.find(cfg.Device)
	return err
}
