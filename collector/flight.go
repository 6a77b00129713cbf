package collector

import (
	"sync"

	"aloud.example/aloud"
)

// flight remembers what a partition has taken but not applied yet, so that an
// id counts once from the moment it is taken. What is applied is in the
// database.
type flight struct {
	mu    sync.Mutex
	limit int
	taken map[aloud.Hash]*passenger
}

type passenger struct {
	digest aloud.Hash
	seq    uint64        // 0 while it is being published
	landed chan struct{} // closed once it is published, or was not
	failed bool
}

func (f *flight) init(limit int) {
	f.limit = limit
	f.taken = map[aloud.Hash]*passenger{}
}

// take enters an id. If it is there already, it returns the one that is.
func (f *flight) take(id, digest aloud.Hash, applied uint64) (mine, other *passenger, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other, ok := f.taken[id]; ok {
		return nil, other, nil
	}
	if len(f.taken) >= f.limit {
		f.sweep(applied)
	}
	if len(f.taken) >= f.limit {
		return nil, nil, aloud.Errorf(aloud.ELIMITED, "the server is behind with its work; try again in a moment")
	}
	mine = &passenger{digest: digest, landed: make(chan struct{})}
	f.taken[id] = mine
	return mine, nil, nil
}

// sweep lets go of what is in the database by now.
func (f *flight) sweep(applied uint64) {
	for id, p := range f.taken {
		if p.seq != 0 && p.seq <= applied {
			delete(f.taken, id)
		}
	}
}

// land says what came of an id: published at a sequence, or 0 for not.
func (f *flight) land(id aloud.Hash, p *passenger, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.seq, p.failed = seq, seq == 0
	if p.failed {
		delete(f.taken, id)
	}
	close(p.landed)
}
