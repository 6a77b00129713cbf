package audience

import (
	"math"
	"sync"

	"github.com/golang/geo/s1"
	"github.com/golang/geo/s2"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
)

const (
	earthMetres     = 6371008.8 // the mean radius
	mileMetres      = 1609.344
	minSpecialMiles = 15
	maxCells        = 4096 // of a circle of 20 miles: about 1000
)

// Territory is a circle. A participant, whose place is an S2 cell, is inside
// only if the whole cell is. Make it with NewTerritory.
type Territory struct {
	lat, lon float64
	miles    int
	cap      s2.Cap

	mu    sync.RWMutex
	known map[signal.Cell]bool // answers given before
}

// NewTerritory makes a circle of 10 or 20 miles around a place in degrees.
func NewTerritory(lat, lon float64, miles int) (*Territory, error) {
	t := &Territory{lat: lat, lon: lon, miles: miles, known: map[signal.Cell]bool{}}
	if err := t.check(); err != nil {
		return nil, err
	}
	angle := s1.Angle(float64(miles) * mileMetres / earthMetres)
	t.cap = s2.CapFromCenterAngle(s2.PointFromLatLng(s2.LatLngFromDegrees(lat, lon)), angle)
	return t, nil
}

func (t *Territory) check() error {
	if math.IsNaN(t.lat) || math.IsNaN(t.lon) || math.Abs(t.lat) > 90 || math.Abs(t.lon) > 180 {
		return aloud.Errorf(aloud.EINVALID, "a territory's centre is a latitude from -90 to 90 and a longitude from -180 to 180 in degrees")
	}
	if t.miles != 10 && t.miles != 20 {
		return aloud.Errorf(aloud.EINVALID, "a territory is a circle of 10 or of 20 miles, not of %d", t.miles)
	}
	return nil
}

// Centre returns the middle, in degrees, and the radius in miles.
func (t *Territory) Centre() (lat, lon float64, miles int) { return t.lat, t.lon, t.miles }

// Contains reports whether the whole cell lies inside. No cell is inside
// nowhere: who gives no place is in no territory.
func (t *Territory) Contains(c signal.Cell) bool {
	if !c.Valid() {
		return false
	}
	t.mu.RLock()
	inside, ok := t.known[c]
	t.mu.RUnlock()
	if ok {
		return inside
	}
	inside = t.cap.ContainsCell(s2.CellFromCellID(s2.CellIDFromToken(string(c))))
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) < maxCells {
		t.known[c] = inside
	}
	return inside
}
