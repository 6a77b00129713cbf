package ingest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"aloud.example/aloud"
)

// Bidder answers one OpenRTB 2.6 bid request. Without a bid the response is nil
// and noBid says why, in one word of a closed list.
type Bidder interface {
	Bid(ctx context.Context, request []byte) (response []byte, noBid string, err error)
}

// Notices takes what an exchange or a browser says became of a bid. The query
// is the one that the bid's own URL had, with the exchange's macros filled in;
// each call counts once, however often it comes.
type Notices interface {
	Win(ctx context.Context, bid aloud.BidID, query url.Values) error
	Impression(ctx context.Context, bid aloud.BidID, query url.Values) error
}

// Evidence finds the proof of one bid: JSON as package proof describes it, or
// EPENDING until the log's next checkpoint covers it.
type Evidence interface {
	Evidence(ctx context.Context, bid aloud.BidID) ([]byte, error)
}

const maxBidRequest = 256 * kB

func (a *API) auctionRoutes() {
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	a.raw(Route{Method: http.MethodPost, Path: "/openrtb2/bid", From: FromExchange, MaxBody: maxBidRequest}, "bid",
		"OpenRTB 2.6: 200 with a bid, or 204 with the reason in X-Aloud-No-Bid", object, object, a.bid)
	a.raw(Route{Method: http.MethodGet, Path: "/v1/win/{bid}", From: FromBrowser}, "win", "A bid won (nurl)", nil, nil,
		func(w http.ResponseWriter, r *http.Request) error { return a.notice(w, r, "win", a.Notices.Win) })
	a.raw(Route{Method: http.MethodGet, Path: "/v1/imp/{bid}", From: FromBrowser}, "impression", "An ad was shown and is billed (burl)", nil, nil,
		func(w http.ResponseWriter, r *http.Request) error {
			return a.notice(w, r, "impression", a.Notices.Impression)
		})
	a.raw(Route{Method: http.MethodGet, Path: "/v1/evidence/{bid}", From: FromOperator}, "evidence", "The proof of one bid; 202 until the next checkpoint", nil, object, a.evidence)
}

func (a *API) bid(w http.ResponseWriter, r *http.Request) error {
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return readError(err)
	}
	if !json.Valid(request) {
		a.Metrics.bid("invalid")
		return aloud.Errorf(aloud.EINVALID, "the bid request is not JSON: send an OpenRTB 2.6 BidRequest")
	}
	response, reason, err := a.Bidder.Bid(r.Context(), request)
	h := w.Header()
	h.Set("X-Openrtb-Version", "2.6")
	switch {
	case err != nil:
		a.Metrics.bid(string(aloud.ErrorCode(err)))
		return err
	case response == nil:
		a.Metrics.bid(reason)
		h.Set("X-Aloud-No-Bid", reason)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	a.Metrics.bid("")
	h.Set("Content-Type", "application/json")
	_, err = w.Write(response)
	return ignoreGone(err)
}

func (a *API) notice(w http.ResponseWriter, r *http.Request, kind string, take func(context.Context, aloud.BidID, url.Values) error) error {
	bid, err := bidID(r)
	if err == nil {
		err = take(r.Context(), bid, r.URL.Query())
	}
	a.Metrics.notice(kind, err)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) evidence(w http.ResponseWriter, r *http.Request) error {
	bid, err := bidID(r)
	if err != nil {
		return err
	}
	evidence, err := a.Evidence.Evidence(r.Context(), bid)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(evidence)
	return ignoreGone(err)
}

func bidID(r *http.Request) (aloud.BidID, error) {
	bid := aloud.BidID(r.PathValue("bid"))
	if !bid.Valid() {
		return "", aloud.Errorf(aloud.ENOTFOUND, "there is no such bid: its id is b_ and 26 letters, as in the bid response")
	}
	return bid, nil
}
