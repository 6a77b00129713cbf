package collector_test

import (
	"bytes"
	"os"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

func group() []collector.Envelope {
	return []collector.Envelope{
		{Partition: 7, Handle: collector.Handle{1, 2, 3}, Kind: collector.KindSignal, Ciphertext: []byte("sealed")},
		{Partition: 7, Kind: collector.KindErased, Ciphertext: nil},
	}
}

func TestGroupRoundTrip(t *testing.T) {
	data, err := collector.EncodeGroup(7, group())
	must(t, err)
	partition, envelopes, err := collector.DecodeGroup(data)
	must(t, err)
	if partition != 7 || len(envelopes) != 2 || string(envelopes[0].Ciphertext) != "sealed" || envelopes[0].Handle != (collector.Handle{1, 2, 3}) {
		t.Errorf("came back as %+v", envelopes)
	}
	for i := range data {
		if _, _, err := collector.DecodeGroup(data[:i]); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	if _, _, err := collector.DecodeGroup(append(data, 0)); err == nil {
		t.Error("a byte too many was taken")
	}
	for name, bad := range map[string][]collector.Envelope{
		"empty": {}, "another partition": {{Partition: 8, Kind: collector.KindSignal}}, "unknown kind": {{Partition: 7, Kind: 99}},
		"too large": {{Partition: 7, Kind: collector.KindSignal, Ciphertext: make([]byte, 65<<10)}},
		"too many":  make([]collector.Envelope, collector.MaxGroup+1),
	} {
		if _, err := collector.EncodeGroup(7, bad); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func FuzzGroup(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzGroup")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("the seed corpus is gone: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		partition, envelopes, err := collector.DecodeGroup(data)
		if err != nil {
			return
		}
		again, err := collector.EncodeGroup(partition, envelopes)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("a group that was read is written differently: %v", err)
		}
	})
}
