package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/ledger"
	"aloud.example/aloud/proof"
	"aloud.example/aloud/signal"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey { return key(name).Public().(ed25519.PublicKey) }

// story is an impression with everything behind it. A test changes one thing
// and sees that the proof fails for that reason.
type story struct {
	purposes  []consent.Purpose
	expires   time.Time
	intent    aloud.Intent
	source    aloud.Source
	cell      signal.Cell
	heard     time.Time
	sent      time.Time
	bid       time.Time
	billed    time.Time
	joined    time.Time
	until     time.Time
	rule      string
	change    func(kind, name, value string) string // of a record, before it is logged
	tamper    func(e *proof.Evidence)               // after it was logged, before it is sealed
	serverKey string
}

func standard() story {
	cell, _ := signal.CellAt(40.7128, -74.0060)
	return story{
		purposes: consent.AllPurposes(), expires: start.Add(consent.DefaultExpiry),
		intent: aloud.Intent{Category: "home.hvac", Stage: aloud.StageReady, Score: 0.9}, source: aloud.SourceMicrophone, cell: cell,
		heard: start.Add(time.Hour), sent: start.Add(time.Hour + time.Minute), bid: start.Add(2 * time.Hour), billed: start.Add(2*time.Hour + 3*time.Second),
		joined: start.Add(time.Hour + 2*time.Minute), until: start.Add(8 * 24 * time.Hour),
		rule: `{"category":"home.hvac","stages":["ready"],"window_seconds":604800,"territory":{"lat":40.73,"lon":-73.98,"miles":20}}`,
	}
}

type world struct {
	skey, vkey string
	trust      proof.Trust
}

func newWorld(t testing.TB) world {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "aloud.example/log")
	if err != nil {
		t.Fatal(err)
	}
	return world{skey, vkey, proof.Trust{ServerKeys: []ed25519.PublicKey{public("server")}, LogVKey: vkey}}
}

// evidence tells the story in the form of a file.
func (w world) evidence(t testing.TB, s story) []byte {
	t.Helper()
	e := w.gather(t, s)
	if s.tamper != nil {
		s.tamper(&e)
	}
	if s.serverKey == "" {
		s.serverKey = "server"
	}
	data, err := proof.Seal(e, key(s.serverKey))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w world) gather(t testing.TB, s story) proof.Evidence {
	t.Helper()
	participant := aloud.NewParticipantID()
	d := consent.Decision{
		Participant: participant, DeviceKey: public("device"), Adult: true, Method: consent.MethodTerminal, At: start,
		Notice: consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
	}
	for _, p := range s.purposes {
		d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: s.expires})
	}
	receipt := must[consent.Receipt](t)(consent.NewReceipt(d))
	signed := must[consent.Signed](t)(consent.Sign(receipt, key("device")))
	if err := signed.Countersign(key("server"), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	token := w.token(t, s, receipt)
	var sig signal.Signal
	if u, err := signal.Parse(token); err == nil {
		sig = u.Claimed()
	}
	digest := aloud.Hash(sha256.Sum256([]byte(token)))
	stamp := func(x time.Time) string { return strconv.FormatInt(x.Unix(), 10) }
	a := string(aloud.NewAudienceID())

	e := proof.Evidence{}
	e.Receipt.Signed, e.Signal.Token = signed, token
	e.Receipt.Record = s.record("receipt", "participant", string(participant), "receipt", receipt.Hash().String(), "purposes", "…", "at", stamp(start))
	e.Signal.Record = s.record("signal", "participant", string(participant), "signal", string(sig.ID), "receipt", receipt.Hash().String(),
		"category", string(sig.Category), "iab", strconv.Itoa(sig.IAB), "stage", string(sig.Stage), "score", strconv.FormatFloat(sig.Score, 'f', 3, 64),
		"heard", stamp(sig.HeardAt), "sent", stamp(sig.SentAt), "source", string(sig.Source), "cell", string(sig.Cell), "token", digest.String())
	e.Membership = s.record("membership", "participant", string(participant), "audience", a, "signal", string(sig.ID), "state", "in", "until", stamp(s.until), "at", stamp(s.joined))
	e.Impression = s.record("impression", "bid", string(aloud.NewBidID()), "at", stamp(s.bid), "billed", stamp(s.billed), "participant", string(participant),
		"audience", a, "rule", s.rule, "signal", string(sig.ID), "advertiser", string(aloud.NewAdvertiserID()), "campaign", string(aloud.NewCampaignID()),
		"line", string(aloud.NewLineID()), "creative", string(aloud.NewCreativeID()), "cpm_micros", "5000000", "charged_cpm_micros", "4200000")
	w.log(t, &e)
	return e
}

// token signs the story's signal as the device would, also one that a device
// that keeps to the rules would not.
func (w world) token(t testing.TB, s story, r consent.Receipt) string {
	t.Helper()
	cat, _ := category.BySlug(s.intent.Category)
	payload := must[[]byte](t)(jws.Marshal(struct {
		JTI aloud.SignalID      `json:"jti"`
		Sub aloud.ParticipantID `json:"sub"`
		Rcp aloud.Hash          `json:"rcp"`
		Cat aloud.Category      `json:"cat"`
		IAB int                 `json:"iab"`
		Stg aloud.Stage         `json:"stg"`
		Scr float64             `json:"scr"`
		Hat int64               `json:"hat"`
		IAT int64               `json:"iat"`
		Exp int64               `json:"exp"`
		Src aloud.Source        `json:"src"`
		Cel signal.Cell         `json:"cel,omitempty"`
	}{
		aloud.NewSignalID(), r.Participant, r.Hash(), cat.Slug, cat.IAB, s.intent.Stage, s.intent.Score,
		s.heard.Unix(), s.sent.Unix(), s.sent.Add(24 * time.Hour).Unix(), s.source, s.cell,
	}))
	return must[string](t)(jws.Sign("aloud-signal+jwt", payload, key("device")))
}

func (s story) record(kind string, namesAndValues ...string) proof.Record {
	r := proof.Record{Kind: kind}
	for i := 0; i < len(namesAndValues); i += 2 {
		f := ledger.Field{Name: namesAndValues[i], Value: namesAndValues[i+1]}
		if s.change != nil {
			f.Value = s.change(kind, f.Name, f.Value)
		}
		_, _ = rand.Read(f.Salt[:])
		r.Fields = append(r.Fields, f)
	}
	return r
}

// log puts the records among other leaves into a tree made by another
// implementation than the one that Aloud serves its log with.
func (w world) log(t testing.TB, e *proof.Evidence) {
	t.Helper()
	var leaves [][]byte
	for i := range 300 {
		leaves = append(leaves, ledger.Leaf{Kind: ledger.KindSignal, Commitment: sha256.Sum256(fmt.Append(nil, i))}.Bytes())
	}
	records := []*proof.Record{&e.Receipt.Record, &e.Signal.Record, &e.Membership, &e.Impression}
	for i, r := range records {
		k := must[ledger.Kind](t)(ledger.ParseKind(r.Kind))
		r.Leaf = uint64(10 + 70*i)
		leaves[r.Leaf] = ledger.Leaf{Kind: k, Commitment: must[aloud.Hash](t)(ledger.Commit(k, r.Fields))}.Bytes()
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		stored = append(stored, must[[]tlog.Hash](t)(tlog.StoredHashes(int64(i), leaf, reader))...)
	}
	n := int64(len(leaves))
	root := must[tlog.Hash](t)(tlog.TreeHash(n, reader))
	for _, r := range records {
		for _, h := range must[tlog.RecordProof](t)(tlog.ProveRecord(n, int64(r.Leaf), reader)) {
			r.Path = append(r.Path, aloud.Hash(h))
		}
	}
	signer := must[note.Signer](t)(note.NewSigner(w.skey))
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), n, root)
	e.Checkpoint = string(must[[]byte](t)(note.Sign(&note.Note{Text: text}, signer)))
}

func TestTheWholeChainHolds(t *testing.T) {
	w := newWorld(t)
	r, err := proof.Verify(w.evidence(t, standard()), w.trust)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Name)
		if s.Text == "" {
			t.Errorf("%s: nothing is said about it", s.Name)
		}
	}
	if got, want := strings.Join(names, " "), "evidence log receipt signal impression consent match window territory membership"; got != want {
		t.Errorf("steps: %s, want %s", got, want)
	}
	if !r.Bid.Valid() || r.Category != "home.hvac" || r.Stage != aloud.StageReady || r.Simulated || !r.At.Equal(standard().bid) {
		t.Errorf("report: %+v", r)
	}
}

func TestAFlippedByteAnywhereFails(t *testing.T) {
	w := newWorld(t)
	good := w.evidence(t, standard())
	for mask, stride := range map[byte]int{1: 1, 0x20: 5, 0x80: 11} {
		for i := 0; i < len(good); i += stride {
			bad := bytes.Clone(good)
			bad[i] ^= mask
			if _, err := proof.Verify(bad, w.trust); err == nil {
				t.Fatalf("byte %d of %d xor %#x: …%s… passes", i, len(good), mask, bad[max(0, i-20):min(len(bad), i+20)])
			} else if aloud.ErrorCode(err) == aloud.EINTERNAL || err.Error() == "" {
				t.Fatalf("byte %d: no reason: %v", i, err)
			}
		}
	}
	for _, bad := range [][]byte{good[:len(good)-1], append(bytes.Clone(good), '\n'), append([]byte{' '}, good...), nil} {
		if _, err := proof.Verify(bad, w.trust); err == nil {
			t.Errorf("%d bytes pass", len(bad))
		}
	}
}

// Even a server that signs anything can't make the chain hold: each case is
// sealed by the right key.
func TestEachLinkIsNeeded(t *testing.T) {
	w := newWorld(t)
	far, _ := signal.CellAt(42.3601, -71.0589)
	// Its centre is inside the circle, but not the whole of it.
	edge := edgeCell(t)
	cases := []struct {
		name, reason string
		change       func(s *story)
	}{
		{"another server's key", "none of the trusted", func(s *story) { s.serverKey = "stranger" }},
		{"no consent to share", "share_signals", func(s *story) { s.purposes = without(consent.PurposeShareSignals) }},
		{"no consent to ads", "personalise_ads", func(s *story) { s.purposes = without(consent.PurposePersonaliseAds) }},
		{"no consent to listen", "listen", func(s *story) { s.purposes = without(consent.PurposeListen) }},
		{"expired before the bid", "ended on", func(s *story) { s.expires = s.bid.Add(-time.Minute) }},
		{"heard before consent", "given later", func(s *story) { s.heard = start.Add(-time.Hour) }},
		{"another category", "audience about", func(s *story) { s.intent.Category = other() }},
		{"another stage", "none of the audience's", func(s *story) { s.intent.Stage = aloud.StageNeed }},
		{"bought already", "none of the audience's", func(s *story) { s.intent.Stage = aloud.StageBought }},
		{"stale", "takes", func(s *story) { s.bid = s.heard.Add(8 * 24 * time.Hour); s.billed = s.bid }},
		{"not waited", "did not wait", func(s *story) {
			s.sent, s.joined, s.bid = s.heard.Add(time.Second), s.heard.Add(time.Second), s.heard.Add(2*time.Second)
		}},
		{"signed too early", "did not wait", func(s *story) { s.sent = s.heard.Add(time.Second) }},
		{"outside the circle", "not wholly within", func(s *story) { s.cell = far }},
		{"across the edge", "not wholly within", func(s *story) { s.cell = edge }},
		{"no place", "not wholly within", func(s *story) { s.cell = "" }},
		{"not a member yet", "was a member from", func(s *story) { s.joined = s.bid.Add(time.Hour) }},
		{"no member any more", "was a member from", func(s *story) { s.until = s.bid }},
		{"left", `"state"`, func(s *story) { s.set("membership", "state", "out") }},
		{"another audience", `"audience"`, func(s *story) { s.set("membership", "audience", string(aloud.NewAudienceID())) }},
		{"another's membership", `"participant"`, func(s *story) { s.set("membership", "participant", string(aloud.NewParticipantID())) }},
		{"another's impression", `"participant"`, func(s *story) { s.set("impression", "participant", string(aloud.NewParticipantID())) }},
		{"another signal's impression", `"signal"`, func(s *story) { s.set("impression", "signal", string(aloud.NewSignalID())) }},
		{"another token", `"token"`, func(s *story) { s.set("signal", "token", aloud.Hash{1}.String()) }},
		{"another stage logged", `"stage"`, func(s *story) { s.set("signal", "stage", "need") }},
		{"another receipt logged", `"receipt"`, func(s *story) { s.set("receipt", "receipt", aloud.Hash{1}.String()) }},
		{"charged more than bid", "prices", func(s *story) { s.set("impression", "charged_cpm_micros", "5000001") }},
		{"billed before the bid", "times", func(s *story) { s.billed = s.bid.Add(-time.Second) }},
		{"a rule that names people", "rule", func(s *story) {
			s.rule = `{"category":"home.hvac","stages":[],"window_seconds":604800,"people":["p_x"]}`
		}},
		{"a rule that was not logged", "does not hold the impression", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Impression.Fields[5].Value = strings.Replace(s.rule, "604800", "604801", 1) }
		}},
		{"a price that was not logged", "does not hold the impression", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Impression.Fields[11].Value = "5000001" }
		}},
		{"another salt", "does not hold the signal", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Signal.Record.Fields[0].Salt[0] ^= 1 }
		}},
		{"another leaf", "does not hold the membership", func(s *story) { s.tamper = func(e *proof.Evidence) { e.Membership.Leaf++ } }},
		{"beyond the tree", "does not hold the membership", func(s *story) { s.tamper = func(e *proof.Evidence) { e.Membership.Leaf = 300 } }},
		{"another path", "does not hold the receipt", func(s *story) { s.tamper = func(e *proof.Evidence) { e.Receipt.Record.Path[2][3] ^= 1 } }},
		{"no path", "does not hold the receipt", func(s *story) { s.tamper = func(e *proof.Evidence) { e.Receipt.Record.Path = nil } }},
		{"records swapped", "is of kind", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Membership, e.Impression = e.Impression, e.Membership }
		}},
		{"a made-up checkpoint", "not signed by the log", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Checkpoint = strings.Replace(e.Checkpoint, "300", "301", 1) }
		}},
		{"another log's checkpoint", "not signed by the log", func(s *story) {
			s.tamper = func(e *proof.Evidence) {
				skey, _, _ := note.GenerateKey(rand.Reader, "aloud.example/log")
				signer, _ := note.NewSigner(skey)
				text, _, _ := strings.Cut(e.Checkpoint, "\n\n")
				b, _ := note.Sign(&note.Note{Text: text + "\n"}, signer)
				e.Checkpoint = string(b)
			}
		}},
		{"a renewal that was not logged", "does not hold the receipt", func(s *story) {
			s.tamper = func(e *proof.Evidence) {
				again := e.Receipt
				again.Record.Leaf = e.Signal.Record.Leaf
				e.Renewed = &again
			}
		}},
		{"not countersigned", "not countersigned", func(s *story) {
			s.tamper = func(e *proof.Evidence) { e.Receipt.Signed.Signatures = e.Receipt.Signed.Signatures[:1] }
		}},
		{"countersigned by itself", "none of the server's", func(s *story) {
			s.tamper = func(e *proof.Evidence) { _ = e.Receipt.Signed.Countersign(key("stranger"), start) }
		}},
		{"countersigned afterwards", "after the bid", func(s *story) {
			s.tamper = func(e *proof.Evidence) { _ = e.Receipt.Signed.Countersign(key("server"), s.bid.Add(time.Minute)) }
		}},
		{"a signal of another device", "another key", func(s *story) {
			s.tamper = func(e *proof.Evidence) {
				parts := strings.Split(e.Signal.Token, ".")
				payload := []byte(must[string](t)(decode(parts[1]), nil))
				e.Signal.Token = must[string](t)(jws.Sign("aloud-signal+jwt", payload, key("stranger")))
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := standard()
			c.change(&s)
			r, err := proof.Verify(w.evidence(t, s), w.trust)
			if err == nil {
				t.Fatalf("it passes: %+v", r)
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the reason is %q, want one with %q", err, c.reason)
			}
		})
	}
}

// set changes one field of one record before it is logged.
func (s *story) set(kind, name, value string) {
	s.change = func(k, n, v string) string {
		if k == kind && n == name {
			return value
		}
		return v
	}
}

func decode(part string) string {
	var out []byte
	_ = json.Unmarshal([]byte(`"`+strings.NewReplacer("-", "+", "_", "/").Replace(part)+strings.Repeat("=", (4-len(part)%4)%4)+`"`), &out)
	return string(out)
}

func without(p consent.Purpose) (out []consent.Purpose) {
	for _, q := range consent.AllPurposes() {
		if p != q {
			out = append(out, q)
		}
	}
	return out
}

func other() aloud.Category {
	for _, c := range category.All() {
		if c.Slug != "home.hvac" {
			return c.Slug
		}
	}
	return ""
}

// edgeCell finds a cell whose centre is inside the standard circle while the
// cell is not.
func edgeCell(t *testing.T) signal.Cell {
	t.Helper()
	const lat, lon, mile = 40.73, -73.98, 1.0 / 69.05
	circle := must[*audience.Territory](t)(audience.NewTerritory(lat, lon, 20))
	cell := must[signal.Cell](t)(signal.CellAt(lat+19.95*mile, lon))
	if circle.Contains(cell) {
		t.Fatal("the cell at the edge counts as inside")
	}
	return cell
}

func TestWhatIsAllowed(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(s *story){
		"no territory":      func(s *story) { s.rule = `{"category":"home.hvac","stages":[],"window_seconds":604800}`; s.cell = "" },
		"simulated speech":  func(s *story) { s.source = aloud.SourceFile; s.sent = s.heard },
		"the shortest wait": func(s *story) { s.sent = s.heard.Add(signal.MinWait) },
	} {
		s := standard()
		change(&s)
		if _, err := proof.Verify(w.evidence(t, s), w.trust); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrust(t *testing.T) {
	w := newWorld(t)
	jwk, _ := json.Marshal(jws.NewJWK(public("server")))
	for name, text := range map[string]string{
		"list":   `{"server_keys":[` + string(jwk) + `],"log_vkey":"` + w.vkey + `"}`,
		"notice": `{"version":"x","server_key":` + string(jwk) + `,"log_vkey":"` + w.vkey + `"}`,
	} {
		trust, err := proof.ParseTrust([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := proof.Verify(w.evidence(t, standard()), trust); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": ``, "no keys": `{"log_vkey":"` + w.vkey + `"}`, "no log": `{"server_keys":[` + string(jwk) + `]}`,
		"a bad key": `{"server_keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}],"log_vkey":"` + w.vkey + `"}`,
		"too long":  strings.Repeat(" ", 1<<17),
	} {
		if _, err := proof.ParseTrust([]byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := proof.Verify(w.evidence(t, standard()), proof.Trust{}); err == nil {
		t.Error("nobody is trusted, and it passes")
	}
}

func FuzzEvidence(f *testing.F) {
	if seeds, err := os.ReadDir("testdata/fuzz/FuzzEvidence"); err != nil || len(seeds) == 0 {
		f.Fatal("the seed corpus testdata/fuzz/FuzzEvidence is gone")
	}
	// A file and not a new story: each fuzzing process must know the same one.
	good, err := os.ReadFile("testdata/evidence.json")
	if err != nil {
		f.Fatal(err)
	}
	w := newWorld(f)
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := proof.Verify(data, w.trust); err == nil && !bytes.Equal(data, good) {
			t.Errorf("%q passes", data)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	good := w.evidence(b, standard())
	b.ReportMetric(float64(len(good)), "B/file")
	for b.Loop() {
		if _, err := proof.Verify(good, w.trust); err != nil {
			b.Fatal(err)
		}
	}
}
