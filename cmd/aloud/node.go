package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/bid/openrtb"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/erasure"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/ledger/tiles"
	"aloud.example/aloud/proof/assembler"
	datadir "aloud.example/aloud/server"
	"aloud.example/aloud/server/ingest"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/store"
	"aloud.example/aloud/stream"
)

// NodeConfig is what `aloud serve` and the tests start a server with.
type NodeConfig struct {
	Data       string
	Listen     string
	PublicURL  string // where exchanges and browsers reach it; "" is Listen
	Controller consent.Controller

	Simulate bool
	Wait     time.Duration // of invariant 5; only if Simulate, where 0 is none
	Minimum  int           // of an audience; 0 is the constant; less only if Simulate

	Now func() time.Time
	Log *slog.Logger
}

// Node is a whole server in one process. Run starts it, Close ends it; in
// between, Failed says if a part of it gave up.
type Node struct {
	Config NodeConfig
	URL    string // http:// and the address it listens on

	data      *datadir.Data
	keyTable  *store.Keys
	db        *store.Store
	stream    *stream.Stream
	log       *tiles.Log
	public    *os.Root // the log's folder, for reading
	keys      *collector.Keyring
	links     *identity.Index
	index     *audience.Index
	keeper    *audience.Keeper
	records   *audience.Records
	collector *collector.Collector
	bidder    *bid.Bidder
	api       *ingest.API

	web    *part // the order in which they end
	keeps  *part
	logs   *part
	failed chan error
}

// Run starts the server and returns once it listens; /readyz says when it has
// caught up. If it fails, everything is closed again.
func (n *Node) Run(ctx context.Context) error {
	n.failed = make(chan error, 8)
	if n.Config.Now == nil {
		n.Config.Now = time.Now
	}
	if n.Config.Log == nil {
		n.Config.Log = slog.New(slog.DiscardHandler)
	}
	if err := n.check(); err != nil {
		return err
	}
	err := n.open(ctx)
	if err == nil {
		err = n.start(ctx)
	}
	if err != nil {
		return errors.Join(err, n.Close())
	}
	return nil
}

// check refuses what only a simulated server may do.
func (n *Node) check() error {
	c := &n.Config
	switch {
	case !c.Simulate && c.Wait != 0:
		return aloud.Errorf(aloud.EINVALID, "--wait needs --simulate: a real server takes no signal that waited less than %s", signal.MinWait)
	case !c.Simulate && c.Minimum != 0:
		return aloud.Errorf(aloud.EINVALID, "--min-audience needs --simulate: a real server uses no audience under %d people", audience.Minimum)
	case c.Wait < 0 || c.Wait > time.Hour:
		return aloud.Errorf(aloud.EINVALID, "--wait is from 0s to 1h")
	case c.Minimum < 0:
		return aloud.Errorf(aloud.EINVALID, "--min-audience is 1 or more")
	}
	if !c.Simulate {
		c.Wait = signal.MinWait
	}
	return nil
}

// open opens what is on disk and checks that it fits together.
func (n *Node) open(ctx context.Context) (err error) {
	if n.data, err = datadir.OpenData(n.Config.Data, n.Config.Simulate); err != nil {
		return err
	}
	kek, err := collector.LoadKEK(n.data.Path(datadir.KEK), n.data.Fresh)
	if err != nil {
		return err
	}
	log, now := n.Config.Log, n.Config.Now
	if n.keyTable, err = store.OpenKeys(ctx, store.Config{Path: n.data.Path(datadir.KeysFile), Now: now, Log: log}); err != nil {
		return err
	}
	if n.db, err = store.Open(ctx, store.Config{Path: n.data.Path(datadir.DatabaseFile), Now: now, Log: log}); err != nil {
		return err
	}
	if n.keys, err = collector.NewKeyring(collector.KeyringConfig{Table: n.keyTable, KEK: kek}); err != nil {
		return err
	}
	if n.stream, err = stream.Open(ctx, stream.Config{Dir: n.data.Path(datadir.StreamDir), Log: log}); err != nil {
		return err
	}
	n.log, err = tiles.Open(ctx, tiles.Config{
		Dir: n.data.Path(datadir.LogDir), Signer: n.data.LogSigner, Verifier: n.data.LogVKey, Log: log,
	})
	return err
}

// start builds the stages on what is open, and sets them going.
func (n *Node) start(ctx context.Context) error {
	c := n.Config
	notice := n.notice()
	public := []ed25519.PublicKey{n.publicKey()}

	eraser, err := erasure.New(erasure.Config{Database: n.db, Keys: n.keys, Log: c.Log})
	if err != nil {
		return err
	}
	if _, err := eraser.Restore(ctx); err != nil {
		return err
	}
	n.links = identity.NewIndex(0)
	if n.index, err = audience.NewIndex(audience.IndexConfig{Links: n.links, Minimum: c.Minimum, Simulated: c.Simulate, Now: c.Now}); err != nil {
		return err
	}
	if n.keeper, err = audience.NewKeeper(audience.KeeperConfig{
		Stream: n.stream, Database: n.db, Keys: n.keys, ServerKeys: public, Eraser: eraser,
		Index: n.index, Links: n.links, Now: c.Now, Log: c.Log,
	}); err != nil {
		return err
	}
	n.records = &audience.Records{Store: n.db, Keys: n.keys}
	if n.collector, err = collector.New(collector.Config{
		Stream: n.stream, Facts: n.db, Progress: n.keeper, Directory: n.links, Stopper: n.index, Keys: n.keys,
		ServerKey: n.data.ServerKey, Notices: []aloud.Hash{notice.Hash()},
		Simulated: c.Simulate, Wait: c.Wait, NoWait: c.Simulate && c.Wait == 0, Now: c.Now, Log: c.Log,
	}); err != nil {
		return err
	}
	shelf := &audience.Shelf{Store: n.db, Stream: n.stream, Now: c.Now}
	if err := shelf.PublishPending(ctx); err != nil {
		return err
	}
	campaigns, err := campaign.NewShelf(ctx, n.db, c.Now)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return aloud.Errorf(aloud.EINVALID, "cannot listen on %s (%w): is another program there? choose another address by --listen", c.Listen, listenCause(err))
	}
	n.URL = "http://" + ln.Addr().String()
	if n.bidder, err = bid.New(ctx, bid.Config{
		Members: n.index, Audiences: shelf, Books: campaigns, Journal: n.db, Purse: n.db, Records: n.records,
		NoticeKey: sha256.Sum256(append([]byte("aloud/notices/1\x00"), n.data.Secret...)),
		Base:      cmp.Or(strings.TrimSuffix(c.PublicURL, "/"), n.URL), Now: c.Now, Log: c.Log,
	}); err == nil {
		err = n.openAPI(notice, shelf, campaigns)
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	n.keeps = n.begin("keeper", n.keeper.Run)
	n.logs = n.begin("ledger", func(ctx context.Context) error { return n.log.Run(ctx, n.records, 0) })
	n.web = n.begin("web", func(ctx context.Context) error { return n.api.Serve(ctx, ln) })
	return nil
}

// publicKey is what receipts and evidence are verified by.
func (n *Node) publicKey() ed25519.PublicKey { return n.data.ServerKey.Public().(ed25519.PublicKey) }

func (n *Node) notice() ingest.Notice {
	return ingest.Notice{
		Notice:    consent.EnglishNotice(n.Config.Controller),
		ServerKey: jws.NewJWK(n.publicKey()), LogVKey: n.data.LogVKey,
		Simulated: n.Config.Simulate, WaitSeconds: n.Config.Wait.Seconds(),
	}
}

// openAPI puts the HTTP API in front of the stages.
func (n *Node) openAPI(notice ingest.Notice, shelf *audience.Shelf, campaigns *campaign.Shelf) error {
	sources, err := ingest.OpenSources(n.data.Path(datadir.SourcesFile))
	if err != nil {
		return err
	}
	if n.public, err = os.OpenRoot(n.data.Path(datadir.LogDir)); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's folder can't be read: %w", err)
	}
	n.api, err = ingest.New(ingest.Config{
		Notice: notice, Signals: n.collector, Consents: n.collector, Events: n.collector, Sources: sources,
		Audiences: shelf, Size: n.size, Advertisers: campaigns, Campaigns: campaigns,
		Bidder: openrtb.Exchange{Bidder: n.bidder}, Notices: n.bidder,
		Evidence: &assembler.Assembler{Bids: n.db, Records: n.records, Log: n.log, Key: n.data.ServerKey, LogVKey: n.data.LogVKey},
		Log:      n.Config.Log, Tiles: n.public.FS(), OperatorToken: n.data.OperatorToken,
		Ready: n.ready, Metrics: n.metrics(), Now: n.Config.Now,
	})
	return err
}

// size is an audience's size for others' eyes.
func (n *Node) size(a audience.Audience) audience.Size {
	return audience.Rounded(n.data.Secret, a.Rule, n.index.Size(a.ID), n.index.Minimum())
}

// ready returns nil once everything in the stream is applied, every part works
// and the disk takes what comes.
func (n *Node) ready() error {
	if err := n.keeper.Ready(); err != nil {
		return err
	}
	if err := n.stream.Healthy(); err != nil {
		return err
	}
	if err := n.index.Fresh(); err != nil {
		return err
	}
	return n.data.Writable(n.Config.Now())
}

// metrics adds what the stages count themselves.
func (n *Node) metrics() *ingest.Metrics {
	m := ingest.NewMetrics()
	m.Gauge("aloud_consumer_lag_messages", "Stream messages that are not applied yet.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		last, err := n.stream.Last(ctx)
		if err != nil {
			return -1
		}
		return float64(last) - float64(n.keeper.Position())
	})
	m.Gauge("aloud_memberships", "Memberships held in memory.", func() float64 { return float64(n.index.Len()) })
	m.Counter("aloud_stream_groups_total", "Groups made durable.", func() uint64 { return n.collector.Counts().Groups })
	m.Counter("aloud_stream_envelopes_total", "Envelopes made durable.", func() uint64 { return n.collector.Counts().Envelopes })
	m.Counter("aloud_applied_members_total", "Members of groups that were applied.", func() uint64 { return n.keeper.Counts().Members })
	m.Counter("aloud_applied_skipped_total", "Members that no key opens any more.", func() uint64 { return n.keeper.Counts().Skipped })
	m.Counter("aloud_applied_dead_total", "Members that could not be applied.", func() uint64 { return n.keeper.Counts().Dead })
	return m
}

// part is a part of the node that runs until it is ended.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// begin runs fn until end; that it stops by itself, with or without an error,
// is a failure of the node.
func (n *Node) begin(name string, fn func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(context.Background()) // ended by Close, in its order
	p := &part{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		err := fn(ctx)
		if ctx.Err() == nil {
			n.failed <- aloud.Errorf(aloud.EINTERNAL, "the %s stopped: %w", name, err)
		}
	}()
	return p
}

func (p *part) end() {
	if p != nil {
		p.cancel()
		<-p.done
	}
}

// Failed gives the error of the first part that gave up.
func (n *Node) Failed() <-chan error { return n.failed }

// closeTimeout is how long the last checkpoint may take.
const closeTimeout = 15 * time.Second

// Close lets requests finish and ends each part after those that feed it. It
// may be called again.
func (n *Node) Close() error {
	var errs []error
	n.web.end()
	if n.collector != nil {
		n.collector.Close()
	}
	if n.bidder != nil {
		n.bidder.Close()
		n.bidder = nil
	}
	n.keeps.end()
	n.logs.end()
	if n.log != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		errs = append(errs, n.log.Close(ctx))
		n.log = nil
	}
	if n.public != nil {
		errs = append(errs, n.public.Close())
		n.public = nil
	}
	if n.stream != nil {
		n.stream.Close()
	}
	if n.db != nil {
		errs = append(errs, n.db.Close())
		n.db = nil
	}
	if n.keyTable != nil {
		errs = append(errs, n.keyTable.Close())
		n.keyTable = nil
	}
	if n.data != nil {
		n.data.Close()
	}
	return errors.Join(errs...)
}

// listenCause drops the address from a listener's error, which has it already.
func listenCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
