package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	datadir "aloud.example/aloud/server"
	"aloud.example/aloud/stream"
)

// The free space below which a server is warned about, and below which it will
// soon refuse what it is sent.
const (
	lowDisk  = 5 << 30
	fullDisk = 512 << 20
)

// dataDirectory looks at a server's data directory. What only its owner may do,
// such as opening the stream, it leaves while a server runs.
func (x *examination) dataDirectory(ctx context.Context, dir, listen string) {
	const area = "data"
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = aloud.Errorf(aloud.EINVALID, "%s is not a directory", dir)
	}
	if !x.judge(area, "directory", err, dir, "give the directory that aloud serve --data has; the first start makes it") {
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		x.add(area, "permissions", failure, fmt.Sprintf("others can read the directory (mode %04o)", mode), "chmod 700 "+dir)
	} else {
		x.add(area, "permissions", good, "for its owner alone", "")
	}
	x.disk(dir)
	if _, err := os.Stat(filepath.Join(dir, datadir.DatabaseFile)); err != nil {
		x.add(area, "keys", skipped, "no server was started here yet", "")
		x.port(listen)
		return
	}
	x.kind(dir)
	x.keys(dir)
	release, err := datadir.Lock(dir)
	if aloud.ErrorCode(err) == aloud.ECONFLICT {
		x.add(area, "lock", good, "a server runs on it now", "")
		x.database(ctx, dir, datadir.DatabaseFile)
		x.add(area, "stream", skipped, "the running server has it open", "")
		return
	}
	if !x.judge(area, "lock", err, "no server runs on it now", "keep the data directory on a disk of this machine") {
		return
	}
	defer release()
	x.database(ctx, dir, datadir.DatabaseFile)
	x.database(ctx, dir, datadir.KeysFile)
	x.openStream(ctx, dir)
	x.port(listen)
}

func (x *examination) disk(dir string) {
	free, err := datadir.Free(dir)
	detail := fmt.Sprintf("%.1f GB free", float64(free)/1e9)
	switch {
	case err != nil:
		x.add("data", "disk", warning, err.Error(), "look at the free space yourself (df)")
	case free < fullDisk:
		x.add("data", "disk", failure, detail, "make room, or move the directory to a larger disk while no server runs")
	case free < lowDisk:
		x.add("data", "disk", warning, detail, "make room soon: a full disk refuses signals")
	default:
		x.add("data", "disk", good, detail, "")
	}
}

func (x *examination) kind(dir string) {
	simulated, err := datadir.Stamped(dir)
	detail := "a real server's: start it without --simulate"
	if simulated {
		detail = "simulated, for life: start it with --simulate"
	}
	x.judge("data", "stamp", err, detail, "make the directory readable for whom the server runs as")
}

// keys checks each key, and the key-encryption key with them.
func (x *examination) keys(dir string) {
	failed := datadir.CheckKeys(dir)
	if _, err := collector.LoadKEK(filepath.Join(dir, filepath.FromSlash(datadir.KEK)), false); err != nil {
		failed = append(failed, err)
	}
	for _, err := range failed {
		x.add("data", "keys", failure, err.Error(), "keys are made once, at the first start: keep copies of "+datadir.KeyDir+"/ and "+datadir.TokenFile+" apart from the backups of the data")
	}
	if len(failed) == 0 {
		x.add("data", "keys", good, "all there, for their owner alone", "")
	}
}

// database asks the engine whether a file is whole; it writes nothing.
func (x *examination) database(ctx context.Context, dir, name string) {
	path := filepath.Join(dir, name)
	answer := ""
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err == nil {
		err = db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&answer)
		_ = db.Close()
	}
	if err == nil && answer != "ok" {
		err = aloud.Errorf(aloud.EINTERNAL, "%s is damaged: %s", name, answer)
	}
	x.judge("data", name, err, "whole", "end the server and restore it as docs/operations.md says under Backups")
}

func (x *examination) openStream(ctx context.Context, dir string) {
	path := filepath.Join(dir, datadir.StreamDir)
	if _, err := os.Stat(path); err != nil {
		x.add("data", "stream", failure, "the stream's folder is missing", "restore it as docs/operations.md says under Backups")
		return
	}
	s, err := stream.Open(ctx, stream.Config{Dir: path})
	var last uint64
	if err == nil {
		last, err = s.Last(ctx)
		s.Close()
	}
	x.judge("data", "stream", err, fmt.Sprintf("opens; it ends at message %d", last), "restore it as docs/operations.md says under Backups")
}
