package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/ledger"
	"aloud.example/aloud/signal"
)

// Verify checks the whole chain behind one impression. On an error the report
// holds the steps that held before it.
func Verify(evidence []byte, trust Trust) (Report, error) {
	c := chain{trust: trust}
	if _, err := trust.log(); err != nil {
		return c.report, err
	}
	s, err := parse(evidence)
	if err != nil {
		return c.report, err
	}
	c.Evidence = s.Evidence
	if err := s.checkSeal(trust.ServerKeys); err != nil {
		return c.report, aloud.Errorf(aloud.EFORBIDDEN, "evidence: %w", err)
	}
	c.report.add("evidence", "the file is as the server signed it")
	for _, step := range []struct {
		name  string
		check func() (string, error)
	}{
		{"log", c.log},
		{"receipt", c.receipt},
		{"signal", c.signal},
		{"impression", c.impression},
		{"consent", c.consent},
		{"match", c.match},
		{"window", c.window},
		{"territory", c.territory},
		{"membership", c.membership},
	} {
		text, err := step.check()
		if err != nil {
			return c.report, aloud.Errorf(aloud.EFORBIDDEN, "%s: %w", step.name, err)
		}
		c.report.add(step.name, text)
	}
	return c.report, nil
}

// chain is a verification under way: each step adds what it proved.
type chain struct {
	Evidence
	trust  Trust
	report Report

	agreed consent.Receipt
	valid  consent.Signed // the receipt that governed at the time of the bid
	device ed25519.PublicKey
	heard  signal.Signal
	bid    impression
}

// impression is the impression's record, read.
type impression struct {
	at   time.Time
	rule audience.Rule
}

// log checks the checkpoint and that it covers all four records.
func (c *chain) log() (string, error) {
	verifier, err := c.trust.log()
	if err != nil {
		return "", err
	}
	cp, err := ledger.OpenCheckpoint([]byte(c.Checkpoint), verifier)
	if err != nil {
		return "", err
	}
	type logged struct {
		kind   ledger.Kind
		record Record
	}
	all := []logged{
		{ledger.KindReceipt, c.Receipt.Record},
		{ledger.KindSignal, c.Signal.Record},
		{ledger.KindMembership, c.Membership},
		{ledger.KindImpression, c.Impression},
	}
	if c.Renewed != nil {
		all = append(all, logged{ledger.KindReceipt, c.Renewed.Record})
	}
	for _, r := range all {
		if err := included(r.kind, r.record, cp); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s signed a tree of %d leaves; receipt, signal, membership and impression are leaves %d, %d, %d and %d",
		cp.Origin, cp.Size, c.Receipt.Record.Leaf, c.Signal.Record.Leaf, c.Membership.Leaf, c.Impression.Leaf), nil
}

func included(kind ledger.Kind, r Record, cp ledger.Checkpoint) error {
	if r.Kind != kind.String() {
		return aloud.Errorf(aloud.EFORBIDDEN, "the %s's record is of kind %.20q", kind, r.Kind)
	}
	if len(r.Path) > maxPath {
		return aloud.Errorf(aloud.EFORBIDDEN, "the %s's path has %d hashes", kind, len(r.Path))
	}
	commitment, err := ledger.Commit(kind, r.Fields)
	if err != nil {
		return err
	}
	leaf := ledger.Leaf{Kind: kind, Commitment: commitment}
	path := make([][]byte, len(r.Path))
	for i := range r.Path {
		path[i] = r.Path[i][:]
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, r.Leaf, cp.Size, rfc6962.DefaultHasher.HashLeaf(leaf.Bytes()), path, cp.Root[:])
	if err != nil {
		return aloud.Errorf(aloud.EFORBIDDEN, "the log does not hold the %s's commitment at leaf %d: its facts, its salts or its path are not what was logged", kind, r.Leaf)
	}
	return nil
}

// receipt checks both signatures on what was agreed to, and on its renewal.
func (c *chain) receipt() (string, error) {
	var err error
	if c.agreed, err = c.signedBoth(c.Receipt); err != nil {
		return "", err
	}
	if c.device, err = c.agreed.DeviceKey.Public(); err != nil {
		return "", err
	}
	c.valid = c.Receipt.Signed
	text := fmt.Sprintf("signed by the device and countersigned by the server at %s, on the notice %s", when(c.valid.Countersigned()), c.agreed.Notice.Version)
	if c.Renewed == nil {
		return text, nil
	}
	again, err := c.signedBoth(*c.Renewed)
	if err != nil {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the renewal: %w", err)
	}
	if again.Participant != c.agreed.Participant || again.DeviceKey != c.agreed.DeviceKey || c.Renewed.Signed.Countersigned().Before(c.valid.Countersigned()) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the renewal is another participant's or device's, or older than what it renews")
	}
	c.valid = c.Renewed.Signed
	return text + ", renewed at " + when(c.valid.Countersigned()), nil
}

func (c *chain) signedBoth(r Receipt) (consent.Receipt, error) {
	agreed, err := consent.Verify(r.Signed, c.trust.ServerKeys...)
	if err != nil {
		return agreed, err
	}
	return agreed, same("receipt", r.Record, "participant", string(agreed.Participant), "receipt", agreed.Hash().String())
}

// signal checks the device's signature, and that it signed under this receipt.
func (c *chain) signal() (string, error) {
	var err error
	if c.heard, err = signal.Verify(c.Signal.Token, c.device); err != nil {
		return "", err
	}
	s := c.heard
	if s.Participant != c.agreed.Participant || s.Receipt != c.agreed.Hash() {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal was made under another receipt")
	}
	digest := aloud.Hash(sha256.Sum256([]byte(c.Signal.Token)))
	err = same("signal", c.Signal.Record,
		"participant", string(s.Participant), "signal", string(s.ID), "receipt", s.Receipt.String(),
		"category", string(s.Category), "iab", strconv.Itoa(s.IAB), "stage", string(s.Stage),
		"score", strconv.FormatFloat(s.Score, 'f', 3, 64), "heard", stamp(s.HeardAt), "sent", stamp(s.SentAt),
		"source", string(s.Source), "cell", string(s.Cell), "token", digest.String())
	if err != nil {
		return "", err
	}
	c.report.Category, c.report.Stage, c.report.Simulated = s.Category, s.Stage, s.Source != aloud.SourceMicrophone
	from := "spoken to a microphone"
	if c.report.Simulated {
		from = "from a recording (simulated)"
	}
	return fmt.Sprintf("%s at stage %s, signed by that device, %s, heard %s, sent %s", s.Category, s.Stage, from, when(s.HeardAt), when(s.SentAt)), nil
}

// impression reads what was bid.
func (c *chain) impression() (string, error) {
	r := c.Impression
	bid := aloud.BidID(r.Field("bid"))
	if !bid.Valid() || !aloud.LineID(r.Field("line")).Valid() || !aloud.AudienceID(r.Field("audience")).Valid() {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the impression names no bid, no line or no audience")
	}
	if err := same("impression", r, "participant", string(c.heard.Participant), "signal", string(c.heard.ID)); err != nil {
		return "", err
	}
	var err error
	if c.bid.at, err = timeField(r, "at"); err != nil {
		return "", err
	}
	billed, err := timeField(r, "billed")
	if err != nil {
		return "", err
	}
	cpm, err1 := strconv.ParseInt(r.Field("cpm_micros"), 10, 64)
	charged, err2 := strconv.ParseInt(r.Field("charged_cpm_micros"), 10, 64)
	if err1 != nil || err2 != nil || cpm <= 0 || charged < 0 || charged > cpm || billed.Before(c.bid.at) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the impression's prices or times don't fit together")
	}
	if err := json.Unmarshal([]byte(r.Field("rule")), &c.bid.rule); err != nil {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the audience's rule: %w", err)
	}
	c.report.Bid, c.report.At = bid, c.bid.at
	return fmt.Sprintf("%s bid %s for line %s at %s, charged %s", bid, dollars(cpm), r.Field("line"), when(c.bid.at), dollars(charged)), nil
}

// consent checks that each purpose was in force when it was needed: under the
// receipt that the signal was made under, and at the bid under the one that
// governed then.
func (c *chain) consent() (string, error) {
	if c.valid.Countersigned().After(c.bid.at.Add(time.Second)) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the receipt was countersigned after the bid")
	}
	var until time.Time
	for _, need := range []struct {
		receipt consent.Signed
		purpose consent.Purpose
		at      time.Time
		what    string
	}{
		{c.Receipt.Signed, consent.PurposeListen, c.heard.HeardAt, "it was heard"},
		{c.Receipt.Signed, consent.PurposeShareSignals, c.heard.HeardAt, "it was heard"},
		{c.Receipt.Signed, consent.PurposeShareSignals, c.heard.SentAt, "it was sent"},
		{c.valid, consent.PurposeShareSignals, c.bid.at, "it was bid on"},
		{c.valid, consent.PurposePersonaliseAds, c.bid.at, "it was bid on"},
	} {
		g, err := consent.Granted(need.receipt, c.trust.ServerKeys, need.purpose, need.at)
		if err != nil {
			return "", aloud.Errorf(aloud.EFORBIDDEN, "when %s (%s): %w", need.what, when(need.at), err)
		}
		until = g.Expires()
	}
	return fmt.Sprintf("listen, share_signals and personalise_ads were in force when it was heard, sent and bid on; ads until %s", when(until)), nil
}

// match checks the rule's category and stage.
func (c *chain) match() (string, error) {
	rule, s := c.bid.rule, c.heard
	if s.Category != rule.Category {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal is about %s, the audience about %s", s.Category, rule.Category)
	}
	if !rule.Qualifies(s.Stage) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal's stage %s is none of the audience's", s.Stage)
	}
	if _, ok := category.BySlug(s.Category); !ok || !s.Stage.InMarket() {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal is about nothing that is in market")
	}
	stages := rule.Stages
	if len(stages) == 0 {
		return fmt.Sprintf("the audience asks for %s at any stage in market", rule.Category), nil
	}
	return fmt.Sprintf("the audience asks for %s at %v", rule.Category, stages), nil
}

// window checks that the signal was fresh, and sent after its wait.
func (c *chain) window() (string, error) {
	age := c.bid.at.Sub(c.heard.HeardAt)
	switch {
	case age < -consent.MaxSkew:
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the bid came before the signal was heard")
	case age > c.bid.rule.Window:
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal was %s old, the audience takes %s", age, c.bid.rule.Window)
	case !c.report.Simulated && min(c.heard.SentAt.Sub(c.heard.HeardAt), age) < signal.MinWait:
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal did not wait %s on the device", signal.MinWait)
	}
	return fmt.Sprintf("the signal was %s old, the audience takes %s", max(age, 0).Round(time.Second), c.bid.rule.Window), nil
}

// territory checks that the participant's whole cell lay inside the circle.
func (c *chain) territory() (string, error) {
	t := c.bid.rule.Territory
	if t == nil {
		return "the audience is not bound to a place", nil
	}
	lat, lon, miles := t.Centre()
	if !t.Contains(c.heard.Cell) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the cell %q is not wholly within %d miles of %v, %v", c.heard.Cell, miles, lat, lon)
	}
	return fmt.Sprintf("the whole cell %s lies within %d miles of %v, %v", c.heard.Cell, miles, lat, lon), nil
}

// membership checks that the participant was in the audience by this signal.
func (c *chain) membership() (string, error) {
	r := c.Membership
	err := same("membership", r, "participant", string(c.heard.Participant), "audience", c.Impression.Field("audience"),
		"signal", string(c.heard.ID), "state", "in")
	if err != nil {
		return "", err
	}
	from, err := timeField(r, "at")
	if err != nil {
		return "", err
	}
	until, err := timeField(r, "until")
	if err != nil {
		return "", err
	}
	if c.bid.at.Before(from) || !c.bid.at.Before(until) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the participant was a member from %s to %s, the bid came at %s", when(from), when(until), when(c.bid.at))
	}
	return fmt.Sprintf("in the audience by this signal from %s until %s", when(from), when(until)), nil
}

// same compares a record with what was proved, field by field.
func same(what string, r Record, namesAndValues ...string) error {
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		name, want := namesAndValues[i], namesAndValues[i+1]
		if !slices.ContainsFunc(r.Fields, func(f ledger.Field) bool { return f.Name == name && f.Value == want }) {
			return aloud.Errorf(aloud.EFORBIDDEN, "the %s's record says %.80q for %q, which is not what was signed", what, r.Field(name), name)
		}
	}
	return nil
}

func timeField(r Record, name string) (time.Time, error) {
	n, err := strconv.ParseInt(r.Field(name), 10, 64)
	if err != nil || n <= 0 || n > 1<<38 {
		return time.Time{}, aloud.Errorf(aloud.EFORBIDDEN, "the %s's record has no time %q", r.Kind, name)
	}
	return time.Unix(n, 0).UTC(), nil
}

// stamp is a time as records write it: unix seconds.
func stamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// dollars writes micros a thousand.
func dollars(micros int64) string {
	return fmt.Sprintf("%d.%06d CPM", micros/1_000_000, micros%1_000_000)
}
