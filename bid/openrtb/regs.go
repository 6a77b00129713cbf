package openrtb

import (
	"encoding/json"
	"strings"

	tcf "github.com/prebid/go-gdpr/consentconstants"
	"github.com/prebid/go-gdpr/vendorconsent"
	"github.com/prebid/openrtb/v20/adcom1"
	"github.com/prebid/openrtb/v20/openrtb2"
)

// notAllowed is whether the request states a regulation or an opt-out under
// which no ad may be chosen by what a person said.
func notAllowed(in *openrtb2.BidRequest) bool {
	if d := in.Device; d != nil && (isOne(d.DNT) || isOne(d.Lmt)) {
		return true
	}
	if in.Regs == nil {
		return false
	}
	gdpr, usPrivacy := in.Regs.GDPR, in.Regs.USPrivacy
	var ext struct {
		GDPR      *int8  `json:"gdpr"`
		USPrivacy string `json:"us_privacy"`
	}
	if len(in.Regs.Ext) > 0 && json.Unmarshal(in.Regs.Ext, &ext) == nil {
		if gdpr == nil {
			gdpr = ext.GDPR
		}
		if usPrivacy == "" {
			usPrivacy = ext.USPrivacy
		}
	}
	return in.Regs.COPPA == 1 || isOne(gdpr) && !consented(in.User) || optedOut(usPrivacy)
}

func isOne(n *int8) bool { return n != nil && *n == 1 }

// optedOut reads the IAB's US privacy string: version, notice, opt-out of sale,
// and a contract's letter.
func optedOut(s string) bool { return len(s) == 4 && (s[2] == 'Y' || s[2] == 'y') }

// purposes are those of the TCF that a personalised ad rests on: storage,
// selecting basic ads, a profile, selecting by it.
var purposes = [...]tcf.Purpose{1, 2, 3, 4}

// consented reports whether the consent string allows personalised ads.
func consented(u *openrtb2.User) bool {
	if u == nil {
		return false
	}
	text := u.Consent
	if text == "" && len(u.Ext) > 0 {
		var ext struct {
			Consent string `json:"consent"`
		}
		if json.Unmarshal(u.Ext, &ext) == nil {
			text = ext.Consent
		}
	}
	if text == "" {
		return false
	}
	c, err := vendorconsent.ParseString(text)
	if err != nil {
		return false
	}
	for _, p := range purposes {
		if !c.PurposeAllowed(p) {
			return false
		}
	}
	return true
}

// sensitiveTopics are categories of the IAB Content Taxonomy 1.0 (cattax 1):
// health, politics and law, crime, religion, and what is not fit for ads.
var sensitiveTopics = []string{"IAB7", "IAB11", "IAB23", "IAB25", "IAB26"}

// sensitive is whether the page or the app says it is about such a topic.
func sensitive(in *openrtb2.BidRequest) bool {
	var cats []string
	if s := in.Site; s != nil && contentTaxonomy1(s.CatTax) {
		cats = append(append(append(cats, s.Cat...), s.SectionCat...), s.PageCat...)
	}
	if a := in.App; a != nil && contentTaxonomy1(a.CatTax) {
		cats = append(append(append(cats, a.Cat...), a.SectionCat...), a.PageCat...)
	}
	for _, c := range cats {
		topic, _, _ := strings.Cut(c, "-")
		for _, s := range sensitiveTopics {
			if strings.EqualFold(topic, s) {
				return true
			}
		}
	}
	return false
}

// contentTaxonomy1 is also what a request means that names no taxonomy.
func contentTaxonomy1(t adcom1.CategoryTaxonomy) bool { return t == 0 || t == 1 }
