package consent_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

var update = flag.Bool("update", false, "write the shared vectors anew")

// receiptVector is one file of testdata/receipts.
type receiptVector struct {
	Why         string                        `json:"why"`
	Server      jws.JWK                       `json:"server"`
	Receipt     json.RawMessage               `json:"receipt"`
	Hash        aloud.Hash                    `json:"hash,omitzero"`
	Participant aloud.ParticipantID           `json:"participant,omitempty"`
	Purposes    map[consent.Purpose]time.Time `json:"purposes,omitempty"`
	Error       aloud.Code                    `json:"error,omitempty"`
}

// endingVector is one file of testdata/endings.
type endingVector struct {
	Why     string         `json:"why"`
	Kind    string         `json:"kind"`
	Seed    string         `json:"seed,omitempty"`
	Device  jws.JWK        `json:"device"`
	Payload string         `json:"payload,omitempty"`
	Token   string         `json:"token"`
	Ending  map[string]any `json:"ending,omitempty"`
	Error   aloud.Code     `json:"error,omitempty"`
}

// shortNotice keeps the files readable.
func shortNotice() consent.Notice {
	n := consent.Notice{
		Version: "vector-1", Language: "en", Text: "The text of the notice: it may say \"so\", <so> & so, line by line.\n\nÅnd in any script: こんにちは.",
		Controller: consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"},
	}
	for _, p := range consent.AllPurposes() {
		n.Purposes = append(n.Purposes, consent.NoticeItem{ID: p, Title: "About " + string(p), Text: "What " + string(p) + " means."})
	}
	return n
}

// sign signs any payload, as a device and a server of whatever honesty would.
func sign(t *testing.T, payload, device, server string, at time.Time) consent.Signed {
	t.Helper()
	s := consent.Signed{Payload: base64.RawURLEncoding.EncodeToString([]byte(payload))}
	add := func(typ, who string, iat int64) {
		protected, signature, err := jws.SignDetached(typ, iat, s.Payload, key(who))
		if err != nil {
			t.Fatal(err)
		}
		s.Signatures = append(s.Signatures, consent.Signature{Protected: protected, Signature: signature})
	}
	add("aloud-receipt+jws", device, 0)
	add("aloud-receipt-countersign+jws", server, at.Unix())
	return s
}

func makeReceiptVectors(t *testing.T) map[string]receiptVector {
	t.Helper()
	r, err := consent.NewReceipt(consent.Decision{
		Participant: "p_bbbbbbbbbbbbbbbbbbbbbbbbbb", DeviceKey: public("device"), Notice: shortNotice(), Adult: true, Method: consent.MethodWeb, At: start,
		Choices: []consent.Choice{
			{Purpose: consent.PurposeMeasure, Expires: start.Add(consent.DefaultExpiry)},
			{Purpose: consent.PurposeListen, Expires: start.Add(24 * time.Hour)},
			{Purpose: consent.PurposeShareSignals, Expires: start.Add(consent.DefaultExpiry)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.ID = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	raw, err := jws.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	server := jws.NewJWK(public("server"))
	all := map[string]receiptVector{}
	put := func(name, why string, s consent.Signed, code aloud.Code) {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		v := receiptVector{Why: why, Server: server, Receipt: text, Error: code}
		if code == "" {
			v.Hash, v.Participant, v.Purposes = r.Hash(), r.Participant, map[consent.Purpose]time.Time{}
			for _, p := range r.Purposes {
				v.Purposes[p.Purpose] = p.Expires
			}
		}
		all[name] = v
	}
	change := func(name, why, old, with string, code aloud.Code) {
		if !strings.Contains(good, old) {
			t.Fatalf("%s: no %s", name, old)
		}
		put(name, why, sign(t, strings.Replace(good, old, with, 1), "device", "server", start), code)
	}
	s := sign(t, good, "device", "server", start)
	put("good", "both signatures", s, "")
	put("good-countersigned-later", "the server's time is its own", sign(t, good, "device", "server", start.Add(time.Hour)), "")
	put("countersigned-before", "the server signs what exists", sign(t, good, "device", "server", start.Add(-time.Hour)), aloud.EINVALID)
	put("countersigned-by-another", "by a key of the server's alone", sign(t, good, "device", "other", start), aloud.EFORBIDDEN)
	put("countersigned-by-the-device", "a device can't vouch for itself", sign(t, good, "device", "device", start), aloud.EFORBIDDEN)
	put("signed-by-another-device", "by the key in the receipt", sign(t, good, "other", "server", start), aloud.EFORBIDDEN)
	put("not-countersigned", "the server's signature is missing", consent.Signed{Payload: s.Payload, Signatures: s.Signatures[:1]}, aloud.EFORBIDDEN)
	put("signatures-swapped", "each signature has its type and place", consent.Signed{Payload: s.Payload, Signatures: []consent.Signature{s.Signatures[1], s.Signatures[0]}}, aloud.EINVALID)
	put("signature-twice", "a device's signature is no server's", consent.Signed{Payload: s.Payload, Signatures: []consent.Signature{s.Signatures[0], s.Signatures[0]}}, aloud.EINVALID)
	put("three-signatures", "two, no more", consent.Signed{Payload: s.Payload, Signatures: append(s.Signatures[:2:2], s.Signatures[1])}, aloud.EINVALID)
	change("not-an-adult", "adults only", `"adult_statement":true`, `"adult_statement":false`, aloud.EFORBIDDEN)
	change("other-notice", "the notice has the hash it states", `line by line`, `line for line`, aloud.EINVALID)
	change("unknown-member", "a member of no meaning", `{"schema_version"`, `{"note":"","schema_version"`, aloud.EINVALID)
	change("member-twice", "two readers could take different ones", `"sensitive":false`, `"sensitive":false,"sensitive":false`, aloud.EINVALID)
	change("html-escaped", "no escapes that JSON does not demand", `<so>`, `\u003cso\u003e`, aloud.EINVALID)
	change("purpose-order", "purposes in the documented order, each once", `{"purpose":"listen"`, `{"purpose":"measure"`, aloud.EINVALID)
	change("purpose-endless", "366 days at most", `"expires":"2026-11-24T12:00:00Z"`, `"expires":"2036-11-24T12:00:00Z"`, aloud.EINVALID)
	change("purpose-over", "it ends after it begins", `"expires":"2026-11-24T12:00:00Z"`, `"expires":"2026-11-23T12:00:00Z"`, aloud.EINVALID)
	change("other-basis", "consent is the only basis", `"lawful_basis":"consent"`, `"lawful_basis":"legitimate interest"`, aloud.EINVALID)
	change("pre-ticked", "choices are made, at a terminal or on a page", `"collection_method":"web"`, `"collection_method":"default"`, aloud.EINVALID)
	change("small-order-key", "a key under which many messages have one signature", jws.NewJWK(public("device")).X, strings.Repeat("A", 43), aloud.EINVALID)
	spaced := all["good"]
	spaced.Why, spaced.Receipt = "spaces around the members don't matter: no signature covers them", json.RawMessage(strings.ReplaceAll(string(spaced.Receipt), `","`, `" , "`))
	all["good-spaced"] = spaced
	outer := all["good"]
	outer.Why, outer.Receipt, outer.Error = "a member of no meaning outside", json.RawMessage(strings.Replace(string(outer.Receipt), `{"payload"`, `{"header":{},"payload"`, 1)), aloud.EINVALID
	outer.Hash, outer.Participant, outer.Purposes = aloud.Hash{}, "", nil
	all["unknown-member-outside"] = outer
	return all
}

func makeEndingVectors(t *testing.T) map[string]endingVector {
	t.Helper()
	device, seed := jws.NewJWK(public("device")), base64.RawURLEncoding.EncodeToString(key("device").Seed())
	all := map[string]endingVector{}
	put := func(name, why, kind, typ, payload string, code aloud.Code) {
		token, err := jws.Sign(typ, []byte(payload), key("device"))
		if err != nil {
			t.Fatal(err)
		}
		v := endingVector{Why: why, Kind: kind, Device: device, Token: token, Error: code}
		if typ == "aloud-"+kind+"+jwt" {
			v.Seed, v.Payload = seed, payload
		}
		if code == "" {
			if err := json.Unmarshal([]byte(payload), &v.Ending); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = v
	}
	const (
		withdrawal = `{"jti":"AAECAwQFBgcICQoLDA0ODw","sub":"p_bbbbbbbbbbbbbbbbbbbbbbbbbb","rcp":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA","pur":"share_signals","iat":1795435200}`
		erasure    = `{"jti":"AAECAwQFBgcICQoLDA0ODw","sub":"p_bbbbbbbbbbbbbbbbbbbbbbbbbb","iat":1795435200}`
		wTyp, eTyp = "aloud-withdrawal+jwt", "aloud-erasure+jwt"
	)
	with := func(payload, old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("no %s", old)
		}
		return strings.Replace(payload, old, new, 1)
	}
	put("withdrawal", "one purpose of one receipt", "withdrawal", wTyp, withdrawal, "")
	put("erasure", "everything", "erasure", eTyp, erasure, "")
	put("withdrawal-as-erasure", "one is not the other", "erasure", wTyp, withdrawal, aloud.EINVALID)
	put("erasure-as-withdrawal", "one is not the other", "withdrawal", eTyp, erasure, aloud.EINVALID)
	put("withdrawal-unknown-purpose", "one of five", "withdrawal", wTyp, with(withdrawal, "share_signals", "everything"), aloud.EINVALID)
	put("withdrawal-without-receipt", "it names a receipt", "withdrawal", wTyp, with(withdrawal, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA", strings.Repeat("A", 43)), aloud.EINVALID)
	put("withdrawal-unknown-member", "no reason is asked, none is taken", "withdrawal", wTyp, with(withdrawal, `"iat"`, `"why":"","iat"`), aloud.EINVALID)
	put("withdrawal-short-id", "128 bits", "withdrawal", wTyp, with(withdrawal, "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O"), aloud.EINVALID)
	put("erasure-other-subject", "ids are typed", "erasure", eTyp, with(erasure, "p_", "s_"), aloud.EINVALID)
	put("erasure-no-time", "it states its time", "erasure", eTyp, with(erasure, "1795435200", "0"), aloud.EINVALID)
	put("erasure-spaced", "one message, one spelling", "erasure", eTyp, with(erasure, `,"sub"`, `, "sub"`), aloud.EINVALID)
	other := all["withdrawal"]
	other.Why, other.Device, other.Ending, other.Error = "nobody withdraws for another", jws.NewJWK(public("other")), nil, aloud.EFORBIDDEN
	all["withdrawal-by-another"] = other
	return all
}

// syncVectors writes (with -update) or reads the files of one kind of vector, and
// hands each to check.
func syncVectors[V any](t *testing.T, dir string, want map[string]V, check func(*testing.T, V)) {
	t.Helper()
	if *update {
		for name, v := range want {
			if err := os.WriteFile(filepath.Join(dir, name+".json"), pretty(t, v), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d vectors, want %d; run go test ./consent -update", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, pretty(t, want[name])) {
				t.Error("the file is not what this version makes; run go test ./consent -update and look at the difference")
			}
			var v V
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			check(t, v)
		})
	}
}

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func TestReceiptVectors(t *testing.T) {
	syncVectors(t, "../testdata/receipts", makeReceiptVectors(t), func(t *testing.T, v receiptVector) {
		server, err := v.Server.Public()
		if err != nil {
			t.Fatal(err)
		}
		s, err := consent.ParseSigned(v.Receipt)
		var r consent.Receipt
		if err == nil {
			r, err = consent.Verify(s, server)
		}
		if aloud.ErrorCode(err) != v.Error {
			t.Fatalf("%v, want code %q", err, v.Error)
		}
		if err != nil {
			return
		}
		if r.Hash() != v.Hash || r.Participant != v.Participant || len(r.Purposes) != len(v.Purposes) {
			t.Errorf("%s %s, want %s %s", r.Hash(), r.Participant, v.Hash, v.Participant)
		}
		for p, want := range v.Purposes {
			if got, ok := r.Expires(p); !ok || !got.Equal(want) {
				t.Errorf("%s ends %v, want %v", p, got, want)
			}
		}
	})
}

func TestEndingVectors(t *testing.T) {
	syncVectors(t, "../testdata/endings", makeEndingVectors(t), func(t *testing.T, v endingVector) {
		device, err := v.Device.Public()
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if v.Kind == "withdrawal" {
			var w consent.Withdrawal
			w, err = consent.ParseWithdrawal(v.Token, device)
			got = map[string]any{"jti": w.ID, "sub": string(w.Participant), "rcp": w.Receipt.String(), "pur": string(w.Purpose), "iat": float64(w.At.Unix())}
		} else {
			var e consent.Erasure
			e, err = consent.ParseErasure(v.Token, device)
			got = map[string]any{"jti": e.ID, "sub": string(e.Participant), "iat": float64(e.At.Unix())}
		}
		if aloud.ErrorCode(err) != v.Error {
			t.Fatalf("%v, want code %q", err, v.Error)
		}
		if err != nil {
			return
		}
		for name, want := range v.Ending {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		seed, err := base64.RawURLEncoding.DecodeString(v.Seed)
		if err != nil {
			t.Fatal(err)
		}
		if token, err := jws.Sign("aloud-"+v.Kind+"+jwt", []byte(v.Payload), ed25519.NewKeyFromSeed(seed)); err != nil || token != v.Token {
			t.Errorf("signing the payload gives another token: %v", err)
		}
	})
}
