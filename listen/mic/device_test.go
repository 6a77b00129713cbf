package mic

import "testing"

// What ALSA lists on a machine without any microphone is none.
func TestPlugin(t *testing.T) {
	for id, name := range map[string]string{
		"null":       "Discard all samples (playback) or generate zero samples (capture)",
		"lavrate":    "Rate Converter Plugin Using Libav/FFmpeg Library",
		"samplerate": "Rate Converter Plugin Using Samplerate Library",
		"speexrate":  "Rate Converter Plugin Using Speex Resampler",
		"jack":       "JACK Audio Connection Kit",
		"oss":        "Open Sound System",
		"speex":      "Plugin using Speex DSP (resample, agc, denoise, echo, dereverb)",
		"upmix":      "Plugin for channel upmix (4,6,8)",
		"vdownmix":   "Plugin for channel downmix (stereo) with a simple spacialization",
	} {
		if !plugin(id, name) || !plugin("", name) || !plugin(id, "") {
			t.Errorf("%s (%s) passes for a microphone", id, name)
		}
	}
	for id, name := range map[string]string{
		"default":  "Default ALSA Output (currently PipeWire Media Server)",
		"pulse":    "PulseAudio Sound Server",
		"pipewire": "PipeWire Sound Server",
		":0,0":     "HDA Intel PCH, ALC257 Analog",
		"hw:1,0":   "USB Audio Device, USB Audio",
		"alsa_input.usb-Blue_Yeti-00.analog-stereo": "Yeti Stereo Microphone",
		"": "NULL Capture Device",
	} {
		if plugin(id, name) {
			t.Errorf("%s (%s) is a microphone and was dropped", id, name)
		}
	}
}
