// Package onnx runs the models that listen needs, on ONNX Runtime: Silero finds
// speech, Moonshine writes it down.
//
// In: samples. Out: probabilities of speech, and hypotheses. The models, the
// token table and the shared library are embedded (`make models` fetches them
// before the build) and unpacked, checked by their SHA-256, into a cache folder.
// It never opens a network connection, never writes audio or text, and
// overwrites its copies of the audio after each utterance.
package onnx
