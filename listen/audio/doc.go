// Package audio opens recorded speech: a WAV, FLAC, MP3 or Ogg Vorbis file of
// any rate and channel count, or raw PCM from a pipe, comes in; mono float32
// samples at 16 kHz, between -1 and 1, go out, a buffer at a time.
//
// It never holds more than a few blocks of a file, whatever its header claims;
// it never guesses from a file's name what it holds; and it never returns a
// sample that is not a number. A file that breaks off yields what it holds, and
// then an error with ErrTruncated in its chain instead of io.EOF, so that
// nobody takes half a recording for a whole one.
package audio
