package signal_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/signal"
)

var update = flag.Bool("update", false, "write the shared vectors anew")

// vectors is the folder that every implementation of the token reads.
const vectors = "../testdata/signals"

// vector is one file there. Payload is the exact text that was signed by Seed
// (none where the token's other parts are at fault); a token must verify under
// Device to Signal, or be refused with Error.
type vector struct {
	Why     string         `json:"why"`
	Seed    string         `json:"seed,omitempty"` // of the Ed25519 key, base64url
	Device  jws.JWK        `json:"device"`
	Payload string         `json:"payload,omitempty"`
	Token   string         `json:"token"`
	Signal  map[string]any `json:"signal,omitempty"`
	Error   aloud.Code     `json:"error,omitempty"`
}

const goodPayload = `{"jti":"s_aaaaaaaaaaaaaaaaaaaaaaaaaa","sub":"p_bbbbbbbbbbbbbbbbbbbbbbbbbb","rcp":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA",` +
	`"cat":"home.hvac","iab":CAT,"stg":"research","scr":0.877,"hat":1795435200,"iat":1795435260,"exp":1798027260,"src":"mic","cel":"CELL"}`

// makeVectors is how the files come to be; -update writes them.
func makeVectors(t *testing.T) map[string]vector {
	t.Helper()
	seed := key("vector").Seed()
	device := jws.NewJWK(public("vector"))
	cell, err := signal.CellAt(33.749, -84.388)
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(goodPayload, "CELL", string(cell), 1)
	good = strings.Replace(good, "CAT", iabOf(t, "home.hvac"), 1)
	all := map[string]vector{}
	payload := func(name, why, text string, code aloud.Code) {
		token, err := jws.Sign("aloud-signal+jwt", []byte(text), key("vector"))
		if err != nil {
			t.Fatal(err)
		}
		v := vector{Why: why, Seed: base64.RawURLEncoding.EncodeToString(seed), Device: device, Payload: text, Token: token, Error: code}
		if code == "" {
			if err := json.Unmarshal([]byte(text), &v.Signal); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = v
	}
	change := func(name, why, old, with string) {
		if !strings.Contains(good, old) {
			t.Fatalf("%s: no %s", name, old)
		}
		payload(name, why, strings.Replace(good, old, with, 1), aloud.EINVALID)
	}
	payload("good", "every member", good, "")
	payload("good-without-cell", "a participant who gave no place", strings.Replace(good, `,"cel":"`+string(cell)+`"`, "", 1), "")
	payload("good-from-a-file", "only a simulated server takes it, but it is well formed", strings.Replace(good, `"mic"`, `"file"`, 1), "")
	payload("good-score-one", "numbers in their shortest form", strings.Replace(good, `0.877`, `1`, 1), "")
	change("unknown-member", "a member of no meaning could carry words", `"src"`, `"txt":"","src"`)
	change("member-twice", "two readers could take different ones", `"src":"mic"`, `"src":"mic","src":"mic"`)
	change("member-missing", "no member has a default", `"stg":"research",`, ``)
	change("member-order", "one message, one spelling", `"cat":"home.hvac","iab":`+iabOf(t, "home.hvac"), `"iab":`+iabOf(t, "home.hvac")+`,"cat":"home.hvac"`)
	change("member-other-case", "names are exact", `"src"`, `"SRC"`)
	change("member-escaped", "names are plain", `"src"`, `"sr\u0063"`)
	change("space", "no spaces", `"src":"mic"`, `"src": "mic"`)
	change("null", "no member is null", `"mic"`, `null`)
	change("number-as-text", "types are exact", `0.877`, `"0.877"`)
	change("number-long-form", "numbers in their shortest form", `0.877`, `0.8770`)
	change("score-precision", "three decimals are enough to rank by", `0.877`, `0.8771`)
	change("score-zero", "a score is over 0", `0.877`, `0`)
	change("score-over-one", "a score is at most 1", `0.877`, `1.001`)
	change("score-negative-zero", "no negative zero", `0.877`, `-0`)
	change("time-fraction", "times are whole seconds", `1795435260`, `1795435260.5`)
	change("time-exponent", "no exponents", `1795435200`, `1.7954352e9`)
	change("sent-before-heard", "nothing is sent before it is heard", `"iat":1795435260`, `"iat":1795435199`)
	change("life-over-30-days", "a signal lives 30 days at most", `1798027260`, `1798027261`)
	change("life-over", "it ends after it begins", `"exp":1798027260`, `"exp":1795435260`)
	change("category-unknown", "only the catalogue's", `home.hvac`, `health.pills`)
	change("category-other-node", "slug and IAB id belong together", `"iab":`+iabOf(t, "home.hvac"), `"iab":1`)
	change("stage-unknown", "one of five", `research`, `curious`)
	change("source-unknown", "one of two", `"mic"`, `"radio"`)
	change("cell-too-fine", "level 12, no finer", string(cell), "88f504741d5")
	change("cell-other-spelling", "one token per cell", string(cell), strings.ToUpper(string(cell)))
	change("cell-empty", "no place is no member", string(cell), "")
	change("jti-free-text", "26 letters of base32", `s_aaaaaaaaaaaaaaaaaaaaaaaaaa`, `s_i need a new boiler please`)
	change("sub-other-kind", "ids are typed", `p_bbbbbbbbbbbbbbbbbbbbbbbbbb`, `s_bbbbbbbbbbbbbbbbbbbbbbbbbb`)
	change("receipt-zero", "a signal rests on a receipt", `AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA`, strings.Repeat("A", 43))
	change("receipt-loose-bits", "canonical base64url", `HB0eHyA"`, `HB0eHyB"`)
	payload("trailing", "nothing after the object", good+" ", aloud.EINVALID)
	payload("not-an-object", "a claims set is an object", `[]`, aloud.EINVALID)

	parts := strings.Split(all["good"].Token, ".")
	token := func(name, why, token string, code aloud.Code) {
		all[name] = vector{Why: why, Device: device, Token: token, Error: code}
	}
	header := func(name, why, head string, code aloud.Code) {
		input := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + parts[1]
		token(name, why, input+"."+base64.RawURLEncoding.EncodeToString(ed25519.Sign(key("vector"), []byte(input))), code)
	}
	kid := consent.KeyID(public("vector"))
	header("header-none", "the algorithm is not the header's to choose", `{"alg":"none","typ":"aloud-signal+jwt","kid":"`+kid+`"}`, aloud.EINVALID)
	header("header-hs256", "the algorithm is not the header's to choose", `{"alg":"HS256","typ":"aloud-signal+jwt","kid":"`+kid+`"}`, aloud.EINVALID)
	header("header-unknown", "an unknown header is refused, not skipped", `{"alg":"EdDSA","typ":"aloud-signal+jwt","kid":"`+kid+`","jku":"https://evil.example"}`, aloud.EINVALID)
	header("header-crit", "no extension is known", `{"alg":"EdDSA","typ":"aloud-signal+jwt","kid":"`+kid+`","crit":["b64"],"b64":false}`, aloud.EINVALID)
	header("header-iat", "only a countersignature states its time in the header", `{"alg":"EdDSA","typ":"aloud-signal+jwt","kid":"`+kid+`","iat":1795435260}`, aloud.EINVALID)
	header("header-other-type", "a withdrawal is no signal", `{"alg":"EdDSA","typ":"aloud-withdrawal+jwt","kid":"`+kid+`"}`, aloud.EINVALID)
	header("header-other-order", "one message, one spelling", `{"typ":"aloud-signal+jwt","alg":"EdDSA","kid":"`+kid+`"}`, aloud.EINVALID)
	header("header-other-key", "the header names the key that signed", `{"alg":"EdDSA","typ":"aloud-signal+jwt","kid":"`+consent.KeyID(public("other"))+`"}`, aloud.EFORBIDDEN)
	token("signature-zero", "no signature", parts[0]+"."+parts[1]+"."+strings.Repeat("A", 86), aloud.EFORBIDDEN)
	token("signature-missing", "three parts", parts[0]+"."+parts[1], aloud.EINVALID)
	token("signature-empty", "64 bytes", parts[0]+"."+parts[1]+".", aloud.EINVALID)
	token("signature-padded", "no padding", all["good"].Token+"==", aloud.EINVALID)
	token("four-parts", "three parts", all["good"].Token+".AA", aloud.EINVALID)
	token("line-break", "no white space", parts[0]+"."+parts[1][:40]+"\n"+parts[1][40:]+"."+parts[2], aloud.EINVALID)
	token("too-long", "4096 bytes at most", all["good"].Token+strings.Repeat("A", signal.MaxSize), aloud.ETOOLARGE)
	token("empty", "nothing", "", aloud.EINVALID)
	loose := []byte(all["good"].Token)
	loose[len(loose)-1]++ // 86 letters hold 4 unused bits
	token("signature-loose-bits", "canonical base64url", string(loose), aloud.EINVALID)
	other := all["good"]
	other.Why, other.Device, other.Signal, other.Error = "the key on record decides", jws.NewJWK(public("other")), nil, aloud.EFORBIDDEN
	all["other-device"] = other
	return all
}

// iabOf is a category's node, as a number in JSON.
func iabOf(t *testing.T, slug aloud.Category) string {
	t.Helper()
	c, ok := category.BySlug(slug)
	if !ok {
		t.Fatalf("no category %s", slug)
	}
	return strconv.Itoa(c.IAB)
}

func TestVectors(t *testing.T) {
	want := makeVectors(t)
	if *update {
		for name, v := range want {
			data, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(vectors, name+".json"), append(data, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(vectors, "*.json"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d vectors, want %d; run go test ./signal -update", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			fresh, _ := json.MarshalIndent(want[name], "", "  ")
			if !bytes.Equal(bytes.TrimSpace(data), fresh) {
				t.Error("the file is not what this version makes; run go test ./signal -update and look at the difference")
			}
			checkVector(t, v)
		})
	}
}

func checkVector(t *testing.T, v vector) {
	t.Helper()
	device, err := v.Device.Public()
	if err != nil {
		t.Fatal(err)
	}
	s, err := signal.Verify(v.Token, device)
	if aloud.ErrorCode(err) != v.Error {
		t.Fatalf("%v, want code %q", err, v.Error)
	}
	if err != nil {
		return
	}
	text := func(name string) string { s, _ := v.Signal[name].(string); return s }
	number := func(name string) float64 { n, _ := v.Signal[name].(float64); return n }
	if string(s.ID) != text("jti") || string(s.Participant) != text("sub") || s.Receipt.String() != text("rcp") || string(s.Category) != text("cat") ||
		float64(s.IAB) != number("iab") || string(s.Stage) != text("stg") || s.Score != number("scr") || float64(s.HeardAt.Unix()) != number("hat") ||
		float64(s.SentAt.Unix()) != number("iat") || float64(s.Expires.Unix()) != number("exp") || string(s.Source) != text("src") || string(s.Cell) != text("cel") {
		t.Errorf("%+v, want %v", s, v.Signal)
	}
	seed, err := base64.RawURLEncoding.DecodeString(v.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := jws.Sign("aloud-signal+jwt", []byte(v.Payload), ed25519.NewKeyFromSeed(seed)); err != nil || token != v.Token {
		t.Errorf("signing the payload gives another token: %v", err)
	}
}
