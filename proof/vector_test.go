package proof_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/proof"
)

var update = flag.Bool("update", false, "write testdata/evidence.json and testdata/trust.json anew")

// The files in testdata are for every implementation of the format: evidence
// that holds, and whom to trust for it. Their keys are derived from names, see
// key, and protect nothing.
func TestVector(t *testing.T) {
	if *update {
		w := newWorld(t)
		trust, err := json.MarshalIndent(map[string]any{"server_keys": []jws.JWK{jws.NewJWK(public("server"))}, "log_vkey": w.vkey}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"evidence.json": w.evidence(t, standard()), "trust.json": append(trust, '\n')} {
			if err := os.WriteFile("testdata/"+name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	evidence, err := os.ReadFile("testdata/evidence.json")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("testdata/trust.json")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := proof.ParseTrust(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(evidence, trust); err != nil {
		t.Error(err)
	}
}
