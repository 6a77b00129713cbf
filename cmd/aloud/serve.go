package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/ledger/tiles"
	datadir "aloud.example/aloud/server"
)

// defaultListen is where a server listens, and where a device looks for one.
const defaultListen = "127.0.0.1:8470"

func newServeCommand(e *env) *cobra.Command {
	var c NodeConfig
	var level string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "serve --data DIR",
		GroupID: "server",
		Short:   "Run the server: collector, audiences, bidder and transparency log",
		Long: `Run the whole server in this process: the collector and its stream, profiles and
audiences, the bidder, and the transparency log. Everything it keeps is in one
data directory, which one server at a time may use. It ends on interrupt, after
what is under way is finished.

A data directory that was started with --simulate stays simulated for life: only
there are signals from recordings taken, and --wait and --min-audience allowed.`,
		Example: `  aloud serve --data /var/lib/aloud --controller-name "Example Ltd" --controller-contact privacy@example.com
  aloud serve --data /tmp/try --simulate --wait 0s --min-audience 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return aloud.Errorf(aloud.EINVALID, "--log-level is debug, info, warn or error, not %q", level)
			}
			if !c.Simulate && (cmd.Flags().Changed("wait") || cmd.Flags().Changed("min-audience")) {
				return aloud.Errorf(aloud.EINVALID, "--wait and --min-audience need --simulate: on a real server the wait and the minimum of %d people are constants", audience.Minimum)
			}
			if cmd.Flags().Changed("min-audience") && c.Minimum < 1 {
				return aloud.Errorf(aloud.EINVALID, "--min-audience is 1 or more")
			}
			if !c.Simulate {
				c.Wait = 0
			}
			c.Now = e.now
			c.Log = slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: l}))
			tiles.UseLogger(c.Log)
			return serve(cmd, e, &Node{Config: c}, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Data, "data", "", "the data directory; made if it is not there (required)")
	f.StringVar(&c.Listen, "listen", defaultListen, "the address to listen on; put a proxy with TLS before it to serve other machines")
	f.StringVar(&c.PublicURL, "public-url", "", "where exchanges and browsers reach the server (default http:// and --listen)")
	f.StringVar(&c.Controller.Name, "controller-name", "the operator of this server", "who answers for the processing, as the notice names them")
	f.StringVar(&c.Controller.Contact, "controller-contact", "the operator, where you got this program", "how to reach them, as the notice says it")
	f.BoolVar(&c.Simulate, "simulate", false, "take signals from recordings; stamps the data directory for life")
	f.DurationVar(&c.Wait, "wait", 10*time.Second, "with --simulate: how long a signal must wait on the device")
	f.IntVar(&c.Minimum, "min-audience", 0, "with --simulate: how many people an audience needs (default 50)")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&asJSON, "json", false, "say where the server is as one JSON object")
	_ = cmd.MarkFlagRequired("data") // the flag is there
	return cmd
}

// serve runs a node until it is told to end, or a part of it gives up.
func serve(cmd *cobra.Command, e *env, n *Node, asJSON bool) error {
	ctx := cmd.Context()
	if err := n.Run(ctx); err != nil {
		return err
	}
	if err := announce(e.stdout, n, asJSON); err != nil {
		return err
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-n.Failed():
	}
	n.Config.Log.Info("ending: what is under way is finished first")
	if err := n.Close(); err != nil && failed == nil {
		failed = err
	}
	if failed == nil {
		fmt.Fprintln(e.stdout, "ended in order")
	}
	return failed
}

// announce says where the server is and where its secrets lie.
func announce(w io.Writer, n *Node, asJSON bool) error {
	where := struct {
		URL       string `json:"url"`
		Data      string `json:"data"`
		Simulated bool   `json:"simulated"`
		TokenFile string `json:"operator_token_file"`
		LogVKey   string `json:"log_vkey"`
		ServerKey string `json:"server_key_id"`
	}{
		URL: n.URL, Data: n.data.Dir, Simulated: n.data.Simulated, TokenFile: filepath.Join(n.data.Dir, datadir.TokenFile),
		LogVKey: n.data.LogVKey, ServerKey: consent.KeyID(n.publicKey()),
	}
	if asJSON {
		return json.NewEncoder(w).Encode(where)
	}
	kind := "a real server"
	if where.Simulated {
		kind = "simulated, for life"
	}
	_, err := fmt.Fprintf(w, `Aloud listens on %s
  data            %s (%s)
  operator token  %s
  API             %s/openapi.json
  log key         %s
  server key      %s
It ends on interrupt (Ctrl-C).
`, where.URL, where.Data, kind, where.TokenFile, where.URL, where.LogVKey, where.ServerKey)
	return err
}
