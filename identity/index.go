package identity

import (
	"sync"

	"aloud.example/aloud"
)

// Index is all links in memory, for bidders and the collector. It is safe for
// concurrent use; reading takes no lock that a reader could wait for long.
type Index struct {
	mu      sync.RWMutex
	byKey   map[Key]aloud.ParticipantID
	byOwner map[aloud.ParticipantID]map[string]string // kind -> newest value
	limit   int
}

// NewIndex makes an empty index that holds at most limit links; 0 counts as
// 8 million.
func NewIndex(limit int) *Index {
	if limit == 0 {
		limit = 8 << 20
	}
	return &Index{byKey: map[Key]aloud.ParticipantID{}, byOwner: map[aloud.ParticipantID]map[string]string{}, limit: limit}
}

// Resolve finds the participant of an identifier.
func (x *Index) Resolve(kind, value string) (aloud.ParticipantID, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	p, ok := x.byKey[Key{kind, value}]
	return p, ok
}

// Issued finds the newest identifier of a kind that a participant was issued.
func (x *Index) Issued(p aloud.ParticipantID, kind string) (string, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	v, ok := x.byOwner[p][kind]
	return v, ok
}

// Put enters a link. It reports false when the index is full.
func (x *Index) Put(l Link) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.byKey) >= x.limit {
		return false
	}
	x.byKey[l.Key()] = l.Participant
	kinds := x.byOwner[l.Participant]
	if kinds == nil {
		kinds = map[string]string{}
		x.byOwner[l.Participant] = kinds
	}
	kinds[l.Kind] = l.Value
	return true
}

// Drop removes a participant's links of some kinds.
func (x *Index) Drop(p aloud.ParticipantID, kinds ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	mine := x.byOwner[p]
	for _, kind := range kinds {
		if value, ok := mine[kind]; ok {
			delete(x.byKey, Key{kind, value})
			delete(mine, kind)
		}
	}
	if len(mine) == 0 {
		delete(x.byOwner, p)
	}
}

// DropAll removes all of a participant's links.
func (x *Index) DropAll(p aloud.ParticipantID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for kind, value := range x.byOwner[p] {
		delete(x.byKey, Key{kind, value})
	}
	delete(x.byOwner, p)
}

// Len is how many links there are.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byKey)
}
