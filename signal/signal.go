package signal

import (
	"math"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

// The limits of a signal.
const (
	MinWait     = 10 * time.Second    // between hearing and sending, everywhere but under --simulate
	DefaultWait = 60 * time.Second    // unless the participant chose longer
	MaxLife     = 30 * 24 * time.Hour // from sending to expiry
	MaxSize     = 4096                // bytes of a token

	typ     = "aloud-signal+jwt"
	maxUnix = 253402300799 // the end of the year 9999
)

// Signal is a verified token: one purchase intent that one participant agreed
// to share. Times are whole seconds in UTC, the score has three decimals.
type Signal struct {
	ID          aloud.SignalID      // jti
	Participant aloud.ParticipantID // sub
	Receipt     aloud.Hash          // rcp
	Category    aloud.Category      // cat
	IAB         int                 // iab, the category's node in the IAB Audience Taxonomy 1.1
	Stage       aloud.Stage         // stg
	Score       float64             // scr, over 0 to 1
	HeardAt     time.Time           // hat
	SentAt      time.Time           // iat
	Expires     time.Time           // exp
	Source      aloud.Source        // src
	Cell        Cell                // cel, or ""
}

// claims are the members of the payload, in their order on the wire.
type claims struct {
	JTI aloud.SignalID      `json:"jti"`
	Sub aloud.ParticipantID `json:"sub"`
	Rcp aloud.Hash          `json:"rcp"`
	Cat aloud.Category      `json:"cat"`
	IAB int                 `json:"iab"`
	Stg aloud.Stage         `json:"stg"`
	Scr float64             `json:"scr"`
	Hat int64               `json:"hat"`
	IAT int64               `json:"iat,omitempty"` // absent only while it waits
	Exp int64               `json:"exp,omitempty"` // absent only while it waits
	Src aloud.Source        `json:"src"`
	Cel Cell                `json:"cel,omitempty"`
}

// checkIntent checks all but the two times that sending sets.
func (c claims) checkIntent() error {
	cat, ok := category.BySlug(c.Cat)
	switch {
	case !c.JTI.Valid():
		return aloud.Errorf(aloud.EINVALID, `a signal's "jti" must be s_ and 26 letters of base32`)
	case !c.Sub.Valid():
		return aloud.Errorf(aloud.EINVALID, `a signal's "sub" must be p_ and 26 letters of base32`)
	case c.Rcp.IsZero():
		return aloud.Errorf(aloud.EINVALID, `a signal's "rcp" must be the hash of a receipt`)
	case !ok:
		return aloud.Errorf(aloud.EINVALID, `a signal's "cat" must be in the catalogue, %.40q is not`, c.Cat)
	case cat.IAB != c.IAB:
		return aloud.Errorf(aloud.EINVALID, `a signal's "iab" must be %d for %s, not %d`, cat.IAB, c.Cat, c.IAB)
	case !c.Stg.Valid():
		return aloud.Errorf(aloud.EINVALID, `a signal's "stg" must be need, research, ready, bought or rejected, not %.20q`, c.Stg)
	case !(c.Scr > 0 && c.Scr <= 1) || round3(c.Scr) != c.Scr:
		return aloud.Errorf(aloud.EINVALID, `a signal's "scr" must be over 0, at most 1, and have at most three decimals`)
	case c.Hat <= 0 || c.Hat > maxUnix:
		return aloud.Errorf(aloud.EINVALID, `a signal's "hat" must be a time in seconds since 1970`)
	case !c.Src.Valid():
		return aloud.Errorf(aloud.EINVALID, `a signal's "src" must be mic or file, not %.20q`, c.Src)
	case c.Cel != "" && !c.Cel.Valid():
		return aloud.Errorf(aloud.EINVALID, `a signal's "cel" must be an S2 cell of level %d, or absent`, CellLevel)
	}
	return nil
}

func (c claims) check() error {
	if err := c.checkIntent(); err != nil {
		return err
	}
	switch {
	case c.IAT < c.Hat || c.IAT > maxUnix:
		return aloud.Errorf(aloud.EINVALID, `a signal's "iat" (sent at) must not be before its "hat" (heard at)`)
	case c.Exp <= c.IAT || c.Exp-c.IAT > int64(MaxLife/time.Second):
		return aloud.Errorf(aloud.EINVALID, `a signal's "exp" must be after its "iat", by at most 30 days`)
	}
	return nil
}

func (c claims) signal() Signal {
	return Signal{
		ID: c.JTI, Participant: c.Sub, Receipt: c.Rcp, Category: c.Cat, IAB: c.IAB, Stage: c.Stg, Score: c.Scr,
		HeardAt: unix(c.Hat), SentAt: unix(c.IAT), Expires: unix(c.Exp), Source: c.Src, Cell: c.Cel,
	}
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }

// round3 keeps three decimals: enough to rank by, too few to hide a message in.
func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
