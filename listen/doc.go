// Package listen turns decoded audio into utterances.
//
// In: mono samples at Rate, from a microphone or a file. Out: utterances with
// their times, text and confidence. On the way a voice activity detector cuts
// the audio where people pause, a recogniser writes down what they said, and
// guards throw out what such recognisers invent.
//
// It never keeps audio: what waits is bounded in seconds, the oldest is dropped
// and counted when it gets late, and every buffer is overwritten once its
// utterance has been recognised; one that had to be cut in the middle of speech,
// once the rest of it has. It never writes audio or text anywhere: an
// utterance goes to the caller's function and nowhere else. It knows no model;
// listen/onnx brings those, listen/mic and listen/audio bring the samples.
package listen
