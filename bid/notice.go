package bid

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/consent"
)

// recordImpression is the kind of the ledger's record.
const recordImpression = "impression"

// notice is the address an exchange calls. It is signed, so that nobody else
// can spend an advertiser's money; it names the bid and nothing else.
func (b *Bidder) notice(kind string, id aloud.BidID) string {
	return b.cfg.Base + "/v1/" + kind + "/" + string(id) + "?sig=" + b.sign(kind, id) + "&price=${AUCTION_PRICE}"
}

func (b *Bidder) sign(kind string, id aloud.BidID) string {
	mac := hmac.New(sha256.New, b.cfg.NoticeKey[:])
	_, _ = mac.Write([]byte("aloud/notice/1\x00" + kind + "\x00" + string(id)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func (b *Bidder) checkNotice(kind string, id aloud.BidID, query url.Values) (price campaign.Micros, stated bool, err error) {
	if !hmac.Equal([]byte(query.Get("sig")), []byte(b.sign(kind, id))) {
		return 0, false, aloud.Errorf(aloud.EFORBIDDEN, "the notice's signature (sig) is not the one in the bid; call the address as it was given")
	}
	text := query.Get("price")
	if text == "" || text == "${AUCTION_PRICE}" {
		return 0, false, nil
	}
	price, err = ParsePrice(text)
	return price, err == nil, err
}

// ParsePrice reads a CPM in dollars, such as 4.25, exactly: no floating point.
// Fractions of a micro are dropped.
func ParsePrice(text string) (campaign.Micros, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	refused := aloud.Errorf(aloud.EINVALID, "the price must be a decimal number of dollars, such as 4.25, not %.40q", text)
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return 0, refused
		}
	}
	if whole == "" || len(text) > 24 {
		return 0, refused
	}
	micros, err := strconv.ParseInt(whole+(fraction + "000000")[:6], 10, 64)
	if err != nil {
		return 0, refused
	}
	return campaign.Micros(micros), nil
}

// Win takes the notice that a bid won. Once or often makes no difference.
func (b *Bidder) Win(ctx context.Context, id aloud.BidID, query url.Values) error {
	price, _, err := b.checkNotice("win", id, query)
	if err != nil {
		return err
	}
	row, err := b.written(ctx, id)
	if err != nil || row.State != Open {
		return err
	}
	return b.cfg.Journal.WinBid(ctx, id, min(price, row.CPM))
}

// Impression takes the notice that a bid's ad was shown, and bills it: once,
// however often it comes. The price is the auction's, at most what was bid; an
// exchange that states none is charged what the bid won at, or what was bid.
func (b *Bidder) Impression(ctx context.Context, id aloud.BidID, query url.Values) error {
	price, stated, err := b.checkNotice("imp", id, query)
	if err != nil {
		return err
	}
	// One at a time: the database has one writer anyway, and two notices of one
	// bid must not meet.
	b.settling.Lock()
	defer b.settling.Unlock()
	row, err := b.written(ctx, id)
	if err != nil || row.State == Billed {
		return err
	}
	now := b.cfg.Now().UTC()
	if !b.spend.take(id, now) {
		return aloud.Errorf(aloud.EEXPIRED, "the bid was made over %s ago, its money is released and it can't be billed any more", Hold)
	}
	switch {
	case stated:
		price = min(price, row.CPM)
	case row.Charged > 0:
		price = row.Charged
	default:
		price = row.CPM
	}
	if _, err := b.cfg.Journal.BillBid(ctx, id, price, now); err != nil {
		b.spend.untake(id)
		return err
	}
	b.spend.settle(id, price.Each())
	row.State, row.Charged, row.BilledAt = Billed, price, now
	if err := b.record(ctx, row, false); err != nil {
		// It is billed; the record follows with the next Sweep.
		b.cfg.Log.Error("an impression's record waits", "error", err)
	}
	return nil
}

// written finds a bid after everything that was bid before is on disk.
func (b *Bidder) written(ctx context.Context, id aloud.BidID) (Row, error) {
	if err := b.writer.flush(ctx); err != nil {
		return Row{}, err
	}
	row, err := b.cfg.Journal.Bid(ctx, id)
	if aloud.ErrorCode(err) == aloud.ENOTFOUND {
		return row, aloud.Errorf(aloud.ENOTFOUND, "there is no such bid on record, so it can't be billed: it could not be proved")
	}
	return row, err
}

// record sends an impression to the ledger's outbox, under the key of the
// purpose it rests on. With look, it looks first whether it is there.
func (b *Bidder) record(ctx context.Context, r Row, look bool) error {
	if look && r.Participant != "" {
		there, err := b.cfg.Records.Find(ctx, r.Participant, recordImpression, string(r.ID))
		if err != nil && aloud.ErrorCode(err) != aloud.ENOTFOUND {
			return err
		}
		if len(there) > 0 {
			return b.cfg.Journal.SetRecorded(ctx, r.ID)
		}
	}
	if r.Participant == "" { // erased since
		return b.cfg.Journal.SetRecorded(ctx, r.ID)
	}
	_, err := b.cfg.Records.Append(ctx, r.Participant, consent.PurposePersonaliseAds, recordImpression, string(r.ID),
		"bid", string(r.ID), "at", unix(r.At), "billed", unix(r.BilledAt), "participant", string(r.Participant),
		"audience", string(r.Audience), "rule", r.Rule, "signal", string(r.Signal),
		"advertiser", string(r.Advertiser), "campaign", string(r.Campaign), "line", string(r.Line), "creative", string(r.Creative),
		"cpm_micros", strconv.FormatInt(int64(r.CPM), 10), "charged_cpm_micros", strconv.FormatInt(int64(r.Charged), 10))
	if err != nil && aloud.ErrorCode(err) != aloud.ENOTFOUND { // withdrawn since: nobody to prove it to
		return err
	}
	return b.cfg.Journal.SetRecorded(ctx, r.ID)
}

// Sweep sends the records of impressions that a crash or a failure kept from
// the ledger's outbox. New calls it, and Run does every minute.
func (b *Bidder) Sweep(ctx context.Context) error {
	b.settling.Lock()
	defer b.settling.Unlock()
	for {
		rows, err := b.cfg.Journal.Unrecorded(ctx, 100)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := b.record(ctx, r, true); err != nil {
				return err
			}
		}
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// ruleText is a rule as records say it.
func ruleText(rule json.Marshaler) (string, error) {
	b, err := rule.MarshalJSON()
	return string(b), err
}
