package listen_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// levelVAD hears speech in every frame that is not silent.
type levelVAD struct{ resets int }

func (v *levelVAD) Speech(frame []float32) (float32, error) {
	for _, x := range frame {
		if x > 0.05 {
			return 0.95, nil
		}
	}
	return 0.02, nil
}

func (v *levelVAD) Reset() { v.resets++ }

// script answers each request in turn and keeps the slices it was given.
type script struct {
	answers []listen.Hypothesis
	asked   []listen.Request
	lengths []int
}

func (s *script) Recognise(_ context.Context, r listen.Request) (listen.Hypothesis, error) {
	h := listen.Hypothesis{Text: "I need new shoes", Tokens: 5, LogProb: -0.05}
	if n := len(s.asked); n < len(s.answers) {
		h = s.answers[n]
	}
	r.Before = slices.Clone(r.Before) // it is overwritten like the audio
	s.asked = append(s.asked, r)
	s.lengths = append(s.lengths, len(r.Views[0]))
	return h, nil
}

// tone is seconds of sound, hush seconds of silence.
func tone(seconds float64) []float32 {
	x := make([]float32, int(seconds*listen.Rate))
	for i := range x {
		x[i] = float32(0.3 * math.Sin(float64(i)/8))
	}
	return x
}

func hush(seconds float64) []float32 { return make([]float32, int(seconds*listen.Rate)) }

// hear runs a listener over audio and returns what it gave out.
func hear(t *testing.T, cfg listen.Config, audio ...[]float32) ([]aloud.Utterance, listen.Stats) {
	t.Helper()
	if cfg.VAD == nil {
		cfg.VAD = &levelVAD{}
	}
	cfg.Queue = 120
	l, err := listen.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range audio {
		if err := l.Feed(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	l.Finish()
	var got []aloud.Utterance
	if err := l.Run(t.Context(), func(u aloud.Utterance) error {
		got = append(got, u)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got, l.Stats()
}

func TestUtterancesAreCutWherePeoplePause(t *testing.T) {
	rec := &script{}
	got, stats := hear(t, listen.Config{Recogniser: rec},
		hush(1), tone(2), hush(0.4), tone(1), hush(1.5), tone(1.5), hush(1))
	if len(got) != 2 {
		t.Fatalf("%d utterances, want 2: a pause of 0.4 s is none, one of 1.5 s is", len(got))
	}
	// Pre-roll 0.32 s before, 0.48 s of the hang-over kept after.
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 0.05 {
			t.Errorf("%s at %.2f s, want %.2f", name, got, want)
		}
	}
	near("first start", got[0].Start, 1-0.32)
	near("first end", got[0].End, 4.4+0.48)
	near("second start", got[1].Start, 5.9-0.32)
	near("second end", got[1].End, 7.4+0.48)
	if got[0].Text != "I need new shoes" || got[0].Partial || math.Abs(got[0].Confidence-math.Exp(-0.05)) > 1e-9 {
		t.Errorf("got %+v", got[0])
	}
	if math.Abs(stats.AudioSeconds-8.4) > 0.001 || stats.Utterances != 2 || stats.DroppedSeconds != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// shared is how many seconds around a cut at the cap both sides get.
const shared = 0.128

func TestLongSpeechIsCutAtItsQuietestPlace(t *testing.T) {
	rec := &script{}
	dip := tone(0.2)
	for i := range dip {
		dip[i] *= 0.3
	}
	got, _ := hear(t, listen.Config{Recogniser: rec}, tone(7.5), dip, tone(7.5), hush(1))
	if len(got) != 2 {
		t.Fatalf("%d utterances, want 2", len(got))
	}
	if got[1].Start < 7.45 || got[0].End > 7.75 || math.Abs(got[0].End-got[1].Start-shared) > 1e-6 {
		t.Errorf("cut from %.3f to %.3f, want both about 7.5 to 7.7, and both with what lies between", got[0].End, got[1].Start)
	}
	for _, n := range rec.lengths {
		if n > 10*listen.Rate {
			t.Errorf("an utterance of %.2f s was recognised: the cap is 10 s", float64(n)/listen.Rate)
		}
	}
}

func TestSpeechWithoutPauseStaysUnderTheCap(t *testing.T) {
	rec := &script{}
	got, _ := hear(t, listen.Config{Recogniser: rec}, tone(61))
	for i, u := range got {
		if u.End-u.Start > 10 {
			t.Errorf("utterance %d is %.2f s long", i, u.End-u.Start)
		}
		if i > 0 && math.Abs(got[i-1].End-u.Start-shared) > 1e-6 {
			t.Errorf("utterance %d starts at %.3f, the one before ends at %.3f", i, u.Start, got[i-1].End)
		}
	}
	if last := got[len(got)-1].End; math.Abs(last-61) > 0.05 {
		t.Errorf("heard up to %.2f s of 61", last)
	}
}

func TestAClickIsNoUtterance(t *testing.T) {
	rec := &script{}
	got, _ := hear(t, listen.Config{Recogniser: rec}, hush(1), tone(0.03), hush(2))
	if len(got) != 0 || len(rec.asked) != 0 {
		t.Errorf("a click gave %d utterances and %d recognitions", len(got), len(rec.asked))
	}
}

func TestEndOfTextIsMaskedOnlyWhereSomebodySurelySpoke(t *testing.T) {
	rec := &script{}
	hear(t, listen.Config{Recogniser: rec}, hush(1), tone(0.3), hush(1), tone(0.7), hush(1))
	if len(rec.asked) != 2 || rec.asked[0].MaskEnd || !rec.asked[1].MaskEnd {
		t.Fatalf("asked %d times; mask wanted for 0.7 s of speech, not for 0.3 s", len(rec.asked))
	}
	for i, r := range rec.asked {
		seconds := float64(rec.lengths[i]) / listen.Rate
		if limit := seconds*6.5 + 5; float64(r.MaxTokens) > limit {
			t.Errorf("%d tokens allowed for %.1f s", r.MaxTokens, seconds)
		}
	}
}

func TestInventedTextIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		audio []float32
		h     listen.Hypothesis
	}{
		"lone You where the end was masked": {tone(1), listen.Hypothesis{Text: "You", LogProb: -0.1, Masked: true}},
		"a note":                            {tone(1), listen.Hypothesis{Text: "♪", LogProb: -0.05}},
		"lone Thank you. masked":            {tone(1), listen.Hypothesis{Text: "Thank you.", LogProb: -0.1, Masked: true}},
		"text that nobody believes":         {tone(3), listen.Hypothesis{Text: "the of and I was", LogProb: -2.5, Cut: true}},
	} {
		rec := &script{answers: []listen.Hypothesis{c.h, c.h}}
		got, stats := hear(t, listen.Config{Recogniser: rec}, hush(0.5), c.audio, hush(1))
		if len(got) != 0 || stats.Guarded != 1 {
			t.Errorf("%s: gave %d utterances, guarded %d", name, len(got), stats.Guarded)
		}
	}
	for name, h := range map[string]listen.Hypothesis{
		"a You that was said":   {Text: "You", LogProb: -0.05},
		"a sentence with You":   {Text: "You need a new car.", LogProb: -0.1, Masked: true},
		"an unsure word or two": {Text: "New tyres maybe", LogProb: -0.3},
	} {
		rec := &script{answers: []listen.Hypothesis{h, h}}
		if got, _ := hear(t, listen.Config{Recogniser: rec}, hush(0.5), tone(1.2), hush(1)); len(got) != 1 {
			t.Errorf("%s was dropped", name)
		}
	}
}

func TestOnlyDoubtfulUtterancesGetASecondLook(t *testing.T) {
	unsure := listen.Hypothesis{Text: "I kneed new choose", LogProb: -0.7}
	better := listen.Hypothesis{Text: "I need new shoes", LogProb: -0.2}
	rec := &script{answers: []listen.Hypothesis{unsure, better}}
	got, stats := hear(t, listen.Config{Recogniser: rec}, tone(2), hush(1), tone(2), hush(1))
	if len(got) != 2 || got[0].Text != better.Text {
		t.Fatalf("got %v", len(got))
	}
	if stats.SecondLook != 1 || len(rec.asked) != 3 {
		t.Errorf("%d second looks, %d recognitions; want 1 and 3", stats.SecondLook, len(rec.asked))
	}
	if rec.asked[0].Again || !rec.asked[1].Again || rec.asked[2].Again {
		t.Error("the second look does not say that it is one")
	}
	views := rec.asked[1].Views
	if len(views) != 2 || math.Abs(float64(len(views[0]))/float64(len(views[1]))-1.05) > 0.001 {
		t.Errorf("%d views at the second look, want it as heard and faster by a twentieth", len(views))
	}
	rec = &script{answers: []listen.Hypothesis{unsure}}
	hear(t, listen.Config{Recogniser: rec, Plain: true}, tone(2), hush(1))
	if len(rec.asked) != 1 {
		t.Errorf("plain listening looked %d times", len(rec.asked))
	}
}

// A noisy utterance that is not all sure gets a second look, one in a quiet room
// that is as sure does not.
func TestNoiseAndDoubtTogetherGetASecondLook(t *testing.T) {
	unsure := listen.Hypothesis{Text: "I need new shoes", LogProb: -0.4}
	murmur := slices.Concat(noise(1, 0.04), noise(2, 0.2), noise(1, 0.04))
	for name, c := range map[string]struct {
		h     listen.Hypothesis
		audio []float32
		looks int
	}{
		"noisy and unsure": {unsure, murmur, 1},
		"noisy and sure":   {listen.Hypothesis{Text: "I need new shoes", LogProb: -0.1}, murmur, 0},
		"quiet and unsure": {unsure, tone(2), 0},
	} {
		rec := &script{answers: []listen.Hypothesis{c.h, c.h}}
		if _, stats := hear(t, listen.Config{Recogniser: rec}, c.audio, hush(1)); stats.SecondLook != c.looks {
			t.Errorf("%s: %d second looks, want %d", name, stats.SecondLook, c.looks)
		}
		for _, r := range rec.asked {
			if r.Again && (len(r.Views) != 3 || len(r.Views[2]) != len(r.Views[0])) {
				t.Errorf("%s: %d views, want it without its noise as well", name, len(r.Views))
			}
		}
	}
}

// noise is seconds of even sound, as loud from beginning to end.
func noise(seconds, level float64) []float32 {
	x := make([]float32, int(seconds*listen.Rate))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(level * (2*r.Float64() - 1))
	}
	return x
}

func TestUnsureWordsAreLeftOut(t *testing.T) {
	h := listen.Hypothesis{Text: "I need new snooze, badly.", LogProb: -0.3, Words: []listen.Word{
		{Text: "I", LogProb: -0.1}, {Text: "need", LogProb: -0.1}, {Text: "new", LogProb: -0.2}, {Text: "snooze,", LogProb: -2.5}, {Text: "badly.", LogProb: -1.7},
	}}
	got, _ := hear(t, listen.Config{Recogniser: &script{answers: []listen.Hypothesis{h}}}, tone(2), hush(1))
	if len(got) != 1 || got[0].Text != "I need new badly." || got[0].Heard != h.Text {
		t.Errorf("got %+v", got)
	}
	got, _ = hear(t, listen.Config{Recogniser: &script{}}, tone(2), hush(1))
	if len(got) != 1 || got[0].Heard != "" {
		t.Errorf("nothing was left out, and yet %+v", got)
	}
	// Where nothing is left, it may still be sensitive.
	h = listen.Hypothesis{Text: "Chemotherapy.", LogProb: -0.5, Words: []listen.Word{{Text: "Chemotherapy.", LogProb: -2}}}
	got, stats := hear(t, listen.Config{Recogniser: &script{answers: []listen.Hypothesis{h}}}, tone(2), hush(1))
	if len(got) != 1 || got[0].Text != "" || got[0].Heard != h.Text || stats.Guarded != 1 || stats.Utterances != 0 {
		t.Errorf("got %+v, %+v", got, stats)
	}
}

// cutShort is what a recogniser makes of speech that goes on.
func cutShort() listen.Hypothesis {
	return listen.Hypothesis{Text: "I need ne", LogProb: -0.1, Said: []int32{7, 8, 9}, Words: []listen.Word{
		{Text: "I", LogProb: -0.1}, {Text: "need", LogProb: -0.1, At: 1}, {Text: "ne", LogProb: -0.1, At: 2},
	}}
}

// Speech that the cap cuts where nobody pauses is heard from its beginning when
// the rest has come, and written down from the cut on.
func TestSpeechCutWithoutAPauseIsCarriedOn(t *testing.T) {
	rec := &script{answers: []listen.Hypothesis{cutShort()}}
	got, _ := hear(t, listen.Config{Recogniser: rec}, tone(13), hush(1), tone(1), hush(1))
	if got[0].Text != "I need" {
		t.Errorf("the first is %q: a word that may be cut is left to the next", got[0].Text)
	}
	if len(rec.asked) != 3 {
		t.Fatalf("%d recognitions, want 3", len(rec.asked))
	}
	first, second, third := rec.asked[0], rec.asked[1], rec.asked[2]
	if first.Before != nil || !slices.Equal(second.Before, []int32{7, 8}) || third.Before != nil {
		t.Errorf("they go on from %v, %v and %v; only the second does, from the first", first.Before, second.Before, third.Before)
	}
	if got := float64(rec.lengths[1]) / listen.Rate; got < 13.4 || got > 13.6 || second.Lead == 0 {
		t.Errorf("the second is heard over %.2f s, %.2f s of them before it", got, float64(second.Lead)/listen.Rate)
	}
	for _, r := range rec.asked {
		for _, x := range r.Views[0] {
			if x != 0 {
				t.Fatal("audio that was carried on is still there after Run")
			}
		}
	}

	rec = &script{answers: []listen.Hypothesis{cutShort()}}
	dip := hush(0.3)
	hear(t, listen.Config{Recogniser: rec}, tone(7.5), dip, tone(7), hush(1))
	if len(rec.asked) != 2 || rec.asked[1].Before != nil {
		t.Error("speech that was cut in a pause was carried on")
	}
}

func TestAudioIsOverwrittenAfterRecognition(t *testing.T) {
	rec := &script{answers: []listen.Hypothesis{{Text: "a", LogProb: -0.5}, {Text: "new car", LogProb: -0.3}}}
	vad := &levelVAD{}
	hear(t, listen.Config{Recogniser: rec, VAD: vad, Partials: true}, tone(14), hush(1), tone(2))
	if len(rec.asked) < 4 {
		t.Fatalf("only %d recognitions", len(rec.asked))
	}
	for i, r := range rec.asked {
		for j, view := range r.Views {
			for k, x := range view {
				if x != 0 {
					t.Fatalf("request %d, view %d: sample %d still holds audio after Run", i, j, k)
				}
			}
		}
	}
	if vad.resets < 2 {
		t.Errorf("the detector was reset %d times: it holds the end of the audio", vad.resets)
	}
}

// peeking looks, at each recognition, whether the utterance before is gone.
type peeking struct {
	script
	t      *testing.T
	before []float32
}

func (p *peeking) Recognise(ctx context.Context, r listen.Request) (listen.Hypothesis, error) {
	if len(p.before) > len(r.Views[0]) {
		for _, x := range p.before[len(r.Views[0]):] {
			if x != 0 {
				p.t.Error("the next utterance was recognised while audio of the one before was still there")
				break
			}
		}
	}
	p.before = r.Views[0]
	return p.script.Recognise(ctx, r)
}

func TestAudioIsGoneBeforeTheNextUtterance(t *testing.T) {
	p := &peeking{t: t}
	hear(t, listen.Config{Recogniser: p}, tone(6), hush(1), tone(1), hush(1))
	if len(p.asked) != 2 {
		t.Fatalf("%d recognitions", len(p.asked))
	}
}

func TestPartialsComeWhileAnUtteranceGoesOn(t *testing.T) {
	rec := &script{}
	got, _ := hear(t, listen.Config{Recogniser: rec, Partials: true}, tone(0.4))
	if n := len(got); n != 1 || got[0].Partial {
		t.Fatalf("short: %d utterances", n)
	}
	// A file is fed as fast as it can be read; partials are left out while more
	// than half a second waits, so feed it in real steps.
	l, err := listen.New(listen.Config{Recogniser: rec, VAD: &levelVAD{}, Partials: true, PartialEvery: 500 * time.Millisecond, Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	audio := append(tone(3), hush(1)...)
	go func() {
		for len(audio) > 0 {
			_ = l.Feed(t.Context(), audio[:min(512, len(audio))])
			audio = audio[min(512, len(audio)):]
		}
		l.Finish()
	}()
	partials, finals := 0, 0
	if err := l.Run(t.Context(), func(u aloud.Utterance) error {
		if u.Partial {
			partials++
		} else {
			finals++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if finals != 1 || partials > 6 {
		t.Errorf("%d partials, %d finals", partials, finals)
	}
}

func TestLateAudioIsDroppedOldestFirstAndCounted(t *testing.T) {
	l, err := listen.New(listen.Config{Recogniser: &script{}, VAD: &levelVAD{}, Queue: 5})
	if err != nil {
		t.Fatal(err)
	}
	for range 60 { // nobody listens while a minute of sound comes, then speech
		l.Offer(hush(1))
	}
	l.Offer(tone(2))
	l.Offer(hush(1))
	if got := l.Stats().DroppedSeconds; math.Abs(got-58) > 0.001 {
		t.Fatalf("%.2f s dropped, want 58: 63 came, 5 may wait", got)
	}
	l.Finish()
	var got []aloud.Utterance
	if err := l.Run(t.Context(), func(u aloud.Utterance) error { got = append(got, u); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || math.Abs(got[0].Start-(60-0.32)) > 0.05 {
		t.Errorf("got %d utterances; dropped audio must still count in the times", len(got))
	}
	if s := l.Stats(); math.Abs(s.AudioSeconds-5) > 0.001 {
		t.Errorf("heard %.2f s, want 5", s.AudioSeconds)
	}
}

func TestOneOfferMayBeLargerThanTheQueue(t *testing.T) {
	l, err := listen.New(listen.Config{Recogniser: &script{}, VAD: &levelVAD{}, Queue: 2})
	if err != nil {
		t.Fatal(err)
	}
	l.Offer(tone(7))
	if got := l.Stats().DroppedSeconds; math.Abs(got-5) > 0.001 {
		t.Errorf("%.2f s dropped, want 5", got)
	}
}

func TestFeedWaitsForRoomAndForNoLongerThanItsContext(t *testing.T) {
	l, err := listen.New(listen.Config{Recogniser: &script{}, VAD: &levelVAD{}, Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Feed(ctx, tone(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be cancelled: a second fits, two don't", err)
	}
	if got := l.Stats().DroppedSeconds; got != 0 {
		t.Errorf("Feed dropped %.2f s", got)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	l, err := listen.New(listen.Config{Recogniser: &script{}, VAD: &levelVAD{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx, func(aloud.Utterance) error { return nil }) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := l.Feed(t.Context(), tone(60)); err != nil {
		t.Errorf("feeding a listener that has ended: %v", err)
	}
}

func TestRunStopsOnAnErrorOfItsCaller(t *testing.T) {
	l, err := listen.New(listen.Config{Recogniser: &script{}, VAD: &levelVAD{}})
	if err != nil {
		t.Fatal(err)
	}
	l.Offer(tone(1))
	l.Finish()
	want := errors.New("full")
	if err := l.Run(t.Context(), func(aloud.Utterance) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// deaf admits nothing.
type deaf struct{ finals, asked int }

func (d *deaf) Admit(_ []float32, final bool) bool {
	d.asked++
	if final {
		d.finals++
	}
	return false
}

func TestWhatIsNotAdmittedIsNeverRecognised(t *testing.T) {
	rec, gate := &script{}, &deaf{}
	got, stats := hear(t, listen.Config{Recogniser: rec, Near: gate, Partials: true}, tone(3), hush(1), tone(3), hush(1))
	if len(got) != 0 || len(rec.asked) != 0 {
		t.Errorf("%d utterances, %d recognitions", len(got), len(rec.asked))
	}
	if gate.finals != 2 || stats.GatedSeconds < 6 {
		t.Errorf("asked for %d final utterances, gated %.1f s", gate.finals, stats.GatedSeconds)
	}
}

// alternating admits every second utterance.
type alternating struct{ asked int }

func (g *alternating) Admit(_ []float32, final bool) bool {
	if final {
		g.asked++
	}
	return g.asked%2 == 0
}

// What a gate refused is not heard as the beginning of what comes after it.
func TestWhatIsRefusedStaysUnheardAtTheCut(t *testing.T) {
	rec := &script{answers: []listen.Hypothesis{cutShort()}}
	got, stats := hear(t, listen.Config{Recogniser: rec, Near: &alternating{}}, tone(13), hush(1))
	if len(got) != 1 || len(rec.asked) != 1 || rec.asked[0].Before != nil {
		t.Fatalf("%d utterances, %d recognitions; want 1 of each, going on from nothing", len(got), len(rec.asked))
	}
	if refused := stats.GatedSeconds; got[0].Start < refused-1e-6 {
		t.Errorf("it starts at %.3f s, and %.3f s had been refused", got[0].Start, refused)
	}
}

// The last word before a cut is left to what follows; where that is refused, the
// word must still be there for suppression.
func TestLastWordBeforeACutIsNotLost(t *testing.T) {
	rec := &script{answers: []listen.Hypothesis{cutShort()}}
	got, _ := hear(t, listen.Config{Recogniser: rec, Near: &firstOnly{}}, tone(13), hush(1))
	if len(got) != 1 || got[0].Text != "I need" || got[0].Heard != "I need ne" {
		t.Errorf("heard %+v", got)
	}
}

// firstOnly admits the first final utterance.
type firstOnly struct{ asked int }

func (g *firstOnly) Admit(_ []float32, final bool) bool {
	if final {
		g.asked++
	}
	return g.asked <= 1
}

// A gap in the sound ends what would have been carried on.
func TestNothingIsCarriedOverAGap(t *testing.T) {
	rec := &script{answers: []listen.Hypothesis{cutShort()}}
	l, err := listen.New(listen.Config{Recogniser: rec, VAD: &levelVAD{}, Queue: 11})
	if err != nil {
		t.Fatal(err)
	}
	l.Offer(tone(10.5))
	done := make(chan error, 1)
	go func() { done <- l.Run(t.Context(), func(aloud.Utterance) error { return nil }) }()
	for l.Stats().AudioSeconds < 10.4 {
		time.Sleep(time.Millisecond)
	}
	l.Offer(tone(30)) // more than there is room for
	l.Finish()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if l.Stats().DroppedSeconds == 0 || len(rec.asked) < 3 {
		t.Fatalf("%.1f s dropped, %d recognitions", l.Stats().DroppedSeconds, len(rec.asked))
	}
	if rec.asked[1].Before == nil || rec.asked[2].Before != nil {
		t.Errorf("they go on from %v and %v; only what came before the gap may", rec.asked[1].Before, rec.asked[2].Before)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, cfg := range map[string]listen.Config{
		"no models":       {},
		"no recogniser":   {VAD: &levelVAD{}},
		"no detector":     {Recogniser: &script{}},
		"an endless wait": {Recogniser: &script{}, VAD: &levelVAD{}, Queue: 1e6},
		"no room at all":  {Recogniser: &script{}, VAD: &levelVAD{}, Queue: -1},
	} {
		if _, err := listen.New(cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: got %v, want EINVALID", name, err)
		}
	}
}

func TestLoopsAreFound(t *testing.T) {
	tokens := func(s string) []int32 {
		var out []int32
		for _, w := range strings.Fields(s) {
			out = append(out, int32(w[0])<<8|int32(w[len(w)-1]))
		}
		return out
	}
	for text, want := range map[string]int{
		"I need a car":                        0,
		"very very good":                      0,
		"no no no no":                         0, // people say that
		"no no no no no":                      1,
		"the end of the end of the":           0,
		"so we go to so we go to so we go to": 4,
		"I thought that would be good I thought that would be good": 0, // nor is a clause said twice
	} {
		keep, looping := listen.Loop(tokens(text))
		if looping != (want > 0) || (looping && keep != want) {
			t.Errorf("%q: keep %d, looping %v", text, keep, looping)
		}
	}
}

// BenchmarkPipeline is what listening costs besides the models: queue,
// segmenter and guards, for each second of audio.
func BenchmarkPipeline(b *testing.B) {
	rec := &script{}
	audio := append(tone(4), hush(1)...)
	b.ReportAllocs()
	l, err := listen.New(listen.Config{Recogniser: rec, VAD: &levelVAD{}, Queue: 10})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for range b.N {
			_ = l.Feed(b.Context(), audio)
		}
		l.Finish()
	}()
	if err := l.Run(b.Context(), func(aloud.Utterance) error { rec.asked = rec.asked[:0]; rec.lengths = rec.lengths[:0]; return nil }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5, "ns/audio-s")
}
