package signal

import (
	"math"

	"github.com/golang/geo/s2"

	"aloud.example/aloud"
)

// CellLevel is the S2 level of every place in Aloud: cells of 3.3 to 6.4 km².
const CellLevel = 12

// Cell is the token of an S2 cell of CellLevel, or "" for no place.
type Cell string

// CellAt rounds a place, in degrees, to its cell. Only the cell is kept.
func CellAt(lat, lon float64) (Cell, error) {
	if math.IsNaN(lat) || math.IsNaN(lon) || lat < -90 || lat > 90 || lon < -180 || lon > 180 {
		return "", aloud.Errorf(aloud.EINVALID, "a place is a latitude from -90 to 90 and a longitude from -180 to 180 in degrees")
	}
	return Cell(s2.CellIDFromLatLng(s2.LatLngFromDegrees(lat, lon)).Parent(CellLevel).ToToken()), nil
}

// ParseCell reads a token; "" is no place.
func ParseCell(token string) (Cell, error) {
	if token == "" || Cell(token).Valid() {
		return Cell(token), nil
	}
	return "", aloud.Errorf(aloud.EINVALID, "a cell is the token of an S2 cell of level %d, such as 89c2f5c, not %.20q", CellLevel, token)
}

// Valid reports whether c is the one token of a cell of CellLevel.
func (c Cell) Valid() bool {
	if len(c) == 0 || len(c) > 16 {
		return false
	}
	id := s2.CellIDFromToken(string(c))
	return id.IsValid() && id.Level() == CellLevel && id.ToToken() == string(c)
}
