package ingest

import (
	"context"
	"net/http"
	"reflect"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

// Signals takes the signed tokens of one request and answers each.
type Signals interface {
	Signals(ctx context.Context, tokens []string) []collector.Result
}

// Consents takes what a participant decides.
type Consents interface {
	Consent(ctx context.Context, signed consent.Signed) (collector.Enrolment, error)
	Withdraw(ctx context.Context, token string) error
	Erase(ctx context.Context, token string) error
}

// Notice is what a device shows before anyone decides, and pins when they do.
type Notice struct {
	consent.Notice
	ServerKey   jws.JWK `json:"server_key" doc:"countersigns receipts"`
	LogVKey     string  `json:"log_vkey" doc:"the transparency log's key, in the form of C2SP signed-note"`
	Simulated   bool    `json:"simulated"`
	WaitSeconds float64 `json:"wait_seconds" doc:"how long a signal waits on the device at least"`
}

// SignedReceipt is a receipt in the JWS General JSON Serialization.
type SignedReceipt struct {
	Payload    string             `json:"payload" pattern:"^[A-Za-z0-9_-]+$" maxLength:"16384" doc:"the receipt, base64url"`
	Signatures []ReceiptSignature `json:"signatures" nullable:"false" minItems:"1" maxItems:"2" doc:"the device's, then the server's"`
}

// ReceiptSignature is one signature of a SignedReceipt.
type ReceiptSignature struct {
	Protected string `json:"protected" pattern:"^[A-Za-z0-9_-]+$" maxLength:"1024"`
	Signature string `json:"signature" pattern:"^[A-Za-z0-9_-]+$" maxLength:"128"`
}

// Enrolled is the answer to a consent.
type Enrolled struct {
	Receipt  SignedReceipt `json:"receipt" doc:"countersigned"`
	BuyerUID string        `json:"buyeruid,omitempty" doc:"what ad exchanges know the participant by, if personalise_ads was agreed to"`
	UserID   string        `json:"user_id,omitempty" doc:"what shops and sites know them by (the userId of behavioural events), if match_behaviour was agreed to; unrelated to buyeruid"`
}

// SignalBatch is what a device sends.
type SignalBatch struct {
	Signals []string `json:"signals" nullable:"false" minItems:"1" maxItems:"64" maxLength:"4096" pattern:"^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$" doc:"compact JWS, each signed by the device"`
}

// SignalDone is what became of one signal.
type SignalDone struct {
	ID      aloud.SignalID `json:"jti,omitempty"`
	Status  string         `json:"status" enum:"accepted,duplicate,refused"`
	Problem *Problem       `json:"problem,omitempty" doc:"why it was refused"`
}

// SignalResults answers a batch, in its order.
type SignalResults struct {
	Results []SignalDone `json:"results"`
}

// SignedWithdrawal is a withdrawal, a JWS by the device's key.
type SignedWithdrawal struct {
	Withdrawal string `json:"withdrawal" maxLength:"1024" pattern:"^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$"`
}

// SignedErasure is an erasure, a JWS by the device's key.
type SignedErasure struct {
	Erasure string `json:"erasure" maxLength:"1024" pattern:"^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$"`
}

// Done is the answer where there is nothing else to say.
type Done struct {
	Done bool `json:"done"`
}

type body[T any] struct{ Body T }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func (a *API) deviceRoutes() {
	handle(a, Route{Method: http.MethodGet, Path: "/v1/notice", From: FromAnyone}, "notice", "What a participant decides on, and the server's keys", http.StatusOK,
		func(context.Context, *struct{}) (*body[Notice], error) { return &body[Notice]{a.Notice}, nil })
	handle(a, Route{Method: http.MethodPost, Path: "/v1/consents", From: FromDevice, MaxBody: consent.MaxReceipt}, "consent", "Send a signed receipt, get it countersigned", http.StatusCreated, a.consent)
	handle(a, Route{Method: http.MethodPost, Path: "/v1/signals", From: FromDevice, MaxBody: 64*4096 + 1024}, "signals", "Send signals", http.StatusOK, a.signals)
	handle(a, Route{Method: http.MethodPost, Path: withdrawalsPath, From: FromDevice, MaxBody: 4096}, "withdraw", "End one purpose", http.StatusOK, a.withdraw)
	handle(a, Route{Method: http.MethodPost, Path: erasuresPath, From: FromDevice, MaxBody: 4096}, "erase", "End everything", http.StatusOK, a.erase)
}

func (a *API) consent(ctx context.Context, in *body[SignedReceipt]) (*body[Enrolled], error) {
	s := consent.Signed{Payload: in.Body.Payload}
	for _, x := range in.Body.Signatures {
		s.Signatures = append(s.Signatures, consent.Signature(x))
	}
	e, err := a.Consents.Consent(ctx, s)
	a.Metrics.consent("consent", err)
	if err != nil {
		return nil, err
	}
	out := Enrolled{Receipt: SignedReceipt{Payload: e.Receipt.Payload}, BuyerUID: e.BuyerUID, UserID: e.UserID}
	for _, x := range e.Receipt.Signatures {
		out.Receipt.Signatures = append(out.Receipt.Signatures, ReceiptSignature(x))
	}
	return &body[Enrolled]{out}, nil
}

func (a *API) signals(ctx context.Context, in *body[SignalBatch]) (*body[SignalResults], error) {
	results := a.Signals.Signals(ctx, in.Body.Signals)
	out := make([]SignalDone, len(results))
	var first error
	refused := 0
	for i, r := range results {
		out[i] = SignalDone{ID: r.ID, Status: string(r.Status)}
		a.Metrics.signal(r)
		if r.Status != collector.Refused {
			continue
		}
		p := *a.problem(ctx, r.Err)
		out[i].Problem = &p
		if refused++; first == nil {
			first = r.Err
		}
	}
	if refused == len(out) {
		p := *problemOf(first)
		p.Results = out
		return nil, &p
	}
	return &body[SignalResults]{SignalResults{out}}, nil
}

func (a *API) withdraw(ctx context.Context, in *body[SignedWithdrawal]) (*body[Done], error) {
	err := a.Consents.Withdraw(ctx, in.Body.Withdrawal)
	a.Metrics.consent("withdrawal", err)
	return &body[Done]{Done{true}}, err
}

func (a *API) erase(ctx context.Context, in *body[SignedErasure]) (*body[Done], error) {
	err := a.Consents.Erase(ctx, in.Body.Erasure)
	a.Metrics.consent("erasure", err)
	return &body[Done]{Done{true}}, err
}
