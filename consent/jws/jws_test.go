package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

func newKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub, key
}

// Another implementation reads what this one writes.
func TestOtherImplementation(t *testing.T) {
	pub, key := newKey(t)
	token, err := jws.Sign("test+jwt", []byte(`{"a":1}`), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := parsed.Verify(pub)
	if err != nil || string(payload) != `{"a":1}` {
		t.Errorf("%s, %v", payload, err)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
	if err != nil || base64.RawURLEncoding.EncodeToString(thumbprint) != jws.Thumbprint(pub) {
		t.Errorf("thumbprint %x, %v, want %s", thumbprint, err, jws.Thumbprint(pub))
	}
}

// The example of RFC 8037, appendix A.
func TestRFC8037(t *testing.T) {
	k := jws.JWK{Kty: "OKP", Crv: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	pub, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	if got := jws.Thumbprint(pub); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("thumbprint %s", got)
	}
}

func TestKeysRefused(t *testing.T) {
	pub, key := newKey(t)
	good := jws.NewJWK(pub)
	for name, k := range map[string]jws.JWK{
		"empty":       {},
		"other type":  {Kty: "EC", Crv: good.Crv, X: good.X},
		"other curve": {Kty: good.Kty, Crv: "X25519", X: good.X},
		"padded":      {Kty: good.Kty, Crv: good.Crv, X: good.X + "="},
		"short":       {Kty: good.Kty, Crv: good.Crv, X: good.X[:42]},
		"line break":  {Kty: good.Kty, Crv: good.Crv, X: good.X[:20] + "\n" + good.X[20:]},
		"identity":    {Kty: good.Kty, Crv: good.Crv, X: "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"order 8":     {Kty: good.Kty, Crv: good.Crv, X: "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"},
		"order 2":     {Kty: good.Kty, Crv: good.Crv, X: "7P_______________________________________38"},
	} {
		if _, err := k.Public(); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	token, _ := jws.Sign("t", []byte("x"), key)
	m, err := jws.Parse(token, "t", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []ed25519.PublicKey{nil, pub[:31], make(ed25519.PublicKey, 32)} {
		if err := m.Verify(bad); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
	}
	if err := (jws.Message{}).Verify(pub); err == nil {
		t.Error("the zero Message verified")
	}
	for _, bad := range []ed25519.PrivateKey{nil, key[:32]} {
		if _, err := jws.Sign("t", nil, bad); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("signed by %d bytes: %v", len(bad), err)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	type object struct {
		Name  string  `json:"name"`
		List  []inner `json:"list"`
		Score float64 `json:"score"`
	}
	good := `{"name":"é<&>","list":[{"a":1}],"score":0.5}`
	var v object
	if err := jws.Unmarshal([]byte(good), &v); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		``:                                   "too early",
		`{`:                                  "too early",
		good + `x`:                           "after",
		good + good:                          "after",
		`{"name":"a","name":"b"}`:            `"name" twice`,
		`{"list":[{"a":1,"a":1}]}`:           `"a" twice`,
		`{"Name":"a"}`:                       `"Name"`,
		`{"name\u017f":"a"}`:                 "names are made of",
		`{"other":1}`:                        "other",
		`{"name":1}`:                         `"name" has the wrong type`,
		`{"name":"\ud800"}`:                  "canonical",
		"{\"name\":\"\xff\"}":                "UTF-8",
		`{"list":[[[[[[[[[[1]]]]]]]]]]}`:     "nests deeper",
		`{"name":"a","list":[],"score":1.0}`: "canonical",
		`{"name":"a","list":[],"score":1e0}`: "canonical",
		`{"list":[],"name":"a","score":1}`:   "canonical",
		`null`:                               "canonical",
		`{"name":"a","list":[]}`:             "canonical",
		"{" + strings.Repeat(`"a":1,`, 40) + `"b":1}`: "twice",
	} {
		var v object
		err := jws.Unmarshal([]byte(text), &v)
		if aloud.ErrorCode(err) != aloud.EINVALID || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v, want it to say %q", text, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	pub, key := newKey(f)
	token, _ := jws.Sign("t", []byte(`{"a":1}`), key)
	f.Add(token)
	f.Fuzz(func(t *testing.T, token string) {
		m, err := jws.Parse(token, "t", 4096)
		if err != nil {
			if aloud.ErrorCode(err) == aloud.EINTERNAL {
				t.Errorf("an error without a code: %v", err)
			}
			return
		}
		if again := base64.RawURLEncoding.EncodeToString(m.Payload); strings.Split(token, ".")[1] != again {
			t.Errorf("two spellings of one payload: %s and %s", strings.Split(token, ".")[1], again)
		}
		if m.KeyID != jws.Thumbprint(pub) && m.Verify(pub) == nil {
			t.Error("verified by a key it does not name")
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"name":"a","list":[{"a":1}],"score":0.5}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v struct {
			Name  string                `json:"name"`
			List  []struct{ A int }     `json:"list"`
			Score float64               `json:"score"`
			Sub   map[string]*jws.JWK   `json:"sub,omitempty"`
			Keys  []map[string]struct{} `json:"keys,omitempty"`
		}
		if err := jws.Unmarshal(data, &v); err != nil {
			if aloud.ErrorCode(err) != aloud.EINVALID {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := jws.Marshal(v)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("read %q, would write %q, %v", data, again, err)
		}
	})
}
