package openrtb

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prebid/openrtb/v20/adcom1"
	"github.com/prebid/openrtb/v20/openrtb2"

	"aloud.example/aloud"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/signal"
)

// The limits of a request.
const (
	MaxRequest = 256 << 10 // bytes
	maxID      = 256       // bytes of an id
	maxImps    = 50
	maxSizes   = 50 // of a banner
	maxUIDs    = 50 // identifiers of a person
	maxBlocked = 5000

	currency = "USD"
)

// Parse reads a bid request.
func Parse(body []byte) (bid.Request, error) {
	if len(body) > MaxRequest {
		return bid.Request{}, aloud.Errorf(aloud.ETOOLARGE, "a bid request may have %d bytes, this has %d", MaxRequest, len(body))
	}
	var in openrtb2.BidRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return bid.Request{}, aloud.Errorf(aloud.EINVALID, "the bid request is not OpenRTB 2.6: %s", reason(err))
	}
	if in.ID == "" || len(in.ID) > maxID {
		return bid.Request{}, aloud.Errorf(aloud.EINVALID, `the bid request needs an "id" of at most %d bytes`, maxID)
	}
	if len(in.Imp) == 0 || len(in.Imp) > maxImps {
		return bid.Request{}, aloud.Errorf(aloud.EINVALID, `the bid request needs 1 to %d "imp", this has %d`, maxImps, len(in.Imp))
	}
	if len(in.BAdv) > maxBlocked || in.TMax < 0 {
		return bid.Request{}, aloud.Errorf(aloud.EINVALID, `the bid request's "badv" may have %d entries, and its "tmax" must not be negative`, maxBlocked)
	}
	out := bid.Request{
		ID: in.ID, Blocked: in.BAdv, Test: in.Test == 1, NotAllowed: notAllowed(&in), Sensitive: sensitive(&in),
		Foreign: len(in.Cur) > 0 && !slices.Contains(in.Cur, currency),
		Within:  time.Duration(min(in.TMax, 60_000)) * time.Millisecond,
	}
	var err error
	if out.Imps, err = imps(&in); err != nil {
		return bid.Request{}, err
	}
	if out.BuyerUIDs, err = uids(in.User); err != nil {
		return bid.Request{}, err
	}
	out.Place, err = place(in.Device)
	return out, err
}

// reason says what encoding/json found, naming the field.
func reason(err error) string {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "its field " + mismatch.Field + " can't be a " + mismatch.Value
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "the JSON is broken: " + syntax.Error()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the JSON ends too early"
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), 120)], "?")
}

// imps collects the places that take a banner in our currency; the others are
// somebody else's business.
func imps(in *openrtb2.BidRequest) ([]bid.Imp, error) {
	out := make([]bid.Imp, 0, len(in.Imp))
	seen := map[string]bool{}
	for i := range in.Imp {
		imp := &in.Imp[i]
		if imp.ID == "" || len(imp.ID) > maxID || seen[imp.ID] {
			return nil, aloud.Errorf(aloud.EINVALID, `each "imp" needs an "id" of its own, of at most %d bytes`, maxID)
		}
		seen[imp.ID] = true
		if !(imp.BidFloor >= 0) || math.IsInf(imp.BidFloor, 0) {
			return nil, aloud.Errorf(aloud.EINVALID, `the "bidfloor" of imp %.40q must not be negative`, imp.ID)
		}
		if imp.Banner == nil || imp.BidFloorCur != "" && imp.BidFloorCur != currency || imp.BidFloor > 1e6 {
			continue
		}
		sizes, err := sizes(imp.Banner)
		if err != nil {
			return nil, err
		}
		out = append(out, bid.Imp{ID: imp.ID, Sizes: sizes, Floor: campaign.Micros(math.Ceil(math.Round(imp.BidFloor*1e9) / 1e3))})
	}
	return out, nil
}

func sizes(b *openrtb2.Banner) ([][2]int, error) {
	if len(b.Format) > maxSizes {
		return nil, aloud.Errorf(aloud.EINVALID, `a banner may have %d "format", this has %d`, maxSizes, len(b.Format))
	}
	var out [][2]int
	if b.W != nil && b.H != nil {
		out = append(out, [2]int{int(*b.W), int(*b.H)})
	}
	for _, f := range b.Format {
		out = append(out, [2]int{int(f.W), int(f.H)})
	}
	for _, s := range out {
		if s[0] < 0 || s[1] < 0 {
			return nil, aloud.Errorf(aloud.EINVALID, "a banner's sizes must not be negative")
		}
	}
	return out, nil
}

// uids collects the identifiers that may be ours.
func uids(u *openrtb2.User) ([]string, error) {
	if u == nil {
		return nil, nil
	}
	var out []string
	add := func(id string) {
		if id != "" && len(id) <= maxID && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	add(u.BuyerUID)
	eids := u.EIDs
	if len(u.Ext) > 0 {
		var ext struct {
			EIDs []openrtb2.EID `json:"eids"`
		}
		// Extensions are anybody's: one that isn't as expected is not ours.
		if json.Unmarshal(u.Ext, &ext) == nil {
			eids = append(eids, ext.EIDs...)
		}
	}
	for _, e := range eids {
		for _, uid := range e.UIDs {
			add(uid.ID)
		}
	}
	if len(out) > maxUIDs {
		return nil, aloud.Errorf(aloud.EINVALID, "a person may have %d ids in user.eids, this has %d", maxUIDs, len(out))
	}
	return out, nil
}

// place is the cell where the device says it is by its own location services; a
// guess from its address on the network is not a place.
func place(d *openrtb2.Device) (signal.Cell, error) {
	if d == nil || d.Geo == nil || d.Geo.Type != adcom1.LocationGPS || d.Geo.Lat == nil || d.Geo.Lon == nil {
		return "", nil
	}
	cell, err := signal.CellAt(*d.Geo.Lat, *d.Geo.Lon)
	if err != nil {
		return "", aloud.Errorf(aloud.EINVALID, "device.geo: %w", err)
	}
	return cell, nil
}
