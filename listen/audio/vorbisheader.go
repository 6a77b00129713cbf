package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// checkVorbis holds a stream's three headers to what the library trusts them
// for: it allocates whatever a comment count or a codebook claims, and walks a
// codebook's tree in circles where the tree has holes (Vorbis I, 3.2.1 forbids
// them, 4.2 lays the headers out).
func checkVorbis(headers [][]byte) error {
	for i, h := range headers {
		if len(h) < 7 || string(h[1:7]) != "vorbis" || h[0] != byte(2*i+1) {
			return errors.New("its Vorbis headers are missing or out of order")
		}
	}
	if err := checkIdentification(headers[0][7:]); err != nil {
		return err
	}
	if err := checkComments(headers[1][7:]); err != nil {
		return err
	}
	return checkCodebooks(headers[2][7:])
}

func checkIdentification(h []byte) error {
	if len(h) < 23 {
		return errors.New("its identification header is too short")
	}
	claims := Info{Channels: int(h[4]), Rate: int(binary.LittleEndian.Uint32(h[5:]))}
	if err := checkClaims(claims); err != nil {
		return err
	}
	small, large := h[21]&0x0f, h[21]>>4
	if small < 6 || large > 13 || small > large {
		return fmt.Errorf("its blocks of 2^%d and 2^%d samples are none that Vorbis has", small, large)
	}
	return nil
}

func checkComments(h []byte) error {
	errClaim := errors.New("its comments claim more than the header holds")
	take := func() (uint32, bool) {
		if len(h) < 4 {
			return 0, false
		}
		n := binary.LittleEndian.Uint32(h)
		h = h[4:]
		return n, true
	}
	skip := func() bool {
		n, ok := take()
		if !ok || uint64(n) > uint64(len(h)) {
			return false
		}
		h = h[n:]
		return true
	}
	if !skip() { // the vendor
		return errClaim
	}
	count, ok := take()
	if !ok || uint64(count)*4 > uint64(len(h)) {
		return errClaim
	}
	for range count {
		if !skip() {
			return errClaim
		}
	}
	return nil
}

const (
	codebookSync   = 0x564342
	codebookMax    = 1 << 16 // entries; encoders use up to 8192
	codebookValues = 1 << 20 // entries times dimensions
)

func checkCodebooks(h []byte) error {
	r := &bitReader{data: h}
	for range r.read(8) + 1 {
		if err := checkCodebook(r); err != nil {
			return err
		}
	}
	return nil
}

func checkCodebook(r *bitReader) error {
	if r.read(24) != codebookSync {
		return errors.New("a codebook is missing")
	}
	dimensions, entries := r.read(16), r.read(24)
	if dimensions < 1 || entries < 1 || entries > codebookMax || dimensions*entries > codebookValues {
		return fmt.Errorf("a codebook claims %d entries of %d dimensions", entries, dimensions)
	}
	if err := checkLengths(r, entries); err != nil {
		return err
	}
	lookup := r.read(4)
	if lookup > 2 {
		return fmt.Errorf("a codebook has lookup type %d", lookup)
	}
	if lookup > 0 {
		r.skip(64)
		valueBits := r.read(4) + 1
		r.skip(1)
		values := dimensions * entries
		if lookup == 1 {
			values = uint64(math.Floor(math.Pow(float64(entries), 1/float64(dimensions))))
		}
		r.skip(values * valueBits)
	}
	if r.short {
		return errors.New("a codebook claims more than the header holds")
	}
	return nil
}

// checkLengths demands that the code lengths make a whole tree: the leaves'
// shares sum to one. A book of one used entry is the permitted exception.
func checkLengths(r *bitReader, entries uint64) error {
	var share, used uint64
	leaf := func(length, count uint64) {
		share += count << (32 - length)
		used += count
	}
	if r.read(1) == 1 { // ordered: runs of entries, each run a bit longer
		length := r.read(5) + 1
		for entry := uint64(0); entry < entries; length++ {
			run := r.read(uint64(bits.Len64(entries - entry)))
			if r.short || length > 32 || entry+run > entries {
				return errors.New("a codebook's runs don't fit its entries")
			}
			leaf(length, run)
			entry += run
		}
	} else {
		sparse := r.read(1) == 1
		for range entries {
			if !sparse || r.read(1) == 1 {
				leaf(r.read(5)+1, 1)
			}
		}
	}
	if r.short {
		return errors.New("a codebook claims more than the header holds")
	}
	if share != 1<<32 && used != 1 {
		return errors.New("a codebook's code has holes or overlaps")
	}
	return nil
}

// bitReader reads least significant bits first, as Vorbis packs them.
type bitReader struct {
	data  []byte
	at    uint64 // in bits
	short bool   // more was asked for than there is
}

func (r *bitReader) read(n uint64) uint64 {
	var v uint64
	for i := range n {
		if r.at>>3 >= uint64(len(r.data)) {
			r.short = true
			return 0
		}
		v |= uint64(r.data[r.at>>3]>>(r.at&7)&1) << i
		r.at++
	}
	return v
}

func (r *bitReader) skip(n uint64) {
	r.at += n
	if r.at > 8*uint64(len(r.data)) {
		r.short = true
	}
}
