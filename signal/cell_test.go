package signal_test

import (
	"math"
	"testing"

	"github.com/golang/geo/s2"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
)

func TestCellAt(t *testing.T) {
	for _, place := range [][2]float64{{33.749, -84.388}, {0, 0}, {90, 0}, {-90, 180}, {51.5, -0.1}, {-33.86, 151.2}, {0, -180}} {
		cell, err := signal.CellAt(place[0], place[1])
		if err != nil || !cell.Valid() {
			t.Errorf("%v: %q, %v", place, cell, err)
			continue
		}
		if back, err := signal.ParseCell(string(cell)); err != nil || back != cell {
			t.Errorf("%v: %q, %v", place, back, err)
		}
		area := s2.CellFromCellID(s2.CellIDFromToken(string(cell))).ExactArea() * 6371 * 6371
		if area < 2 || area > 8 {
			t.Errorf("%v: a cell of %.1f km²", place, area)
		}
	}
	// The exact place is gone: all of a neighbourhood has one cell.
	one, _ := signal.CellAt(33.7490, -84.3880)
	two, _ := signal.CellAt(33.7492, -84.3883)
	if one != two {
		t.Errorf("%s and %s, 40 m apart", one, two)
	}
	for _, bad := range [][2]float64{{91, 0}, {0, 181}, {math.NaN(), 0}, {0, math.Inf(1)}} {
		if _, err := signal.CellAt(bad[0], bad[1]); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func FuzzParseCell(f *testing.F) {
	f.Add("88f5039")
	f.Fuzz(func(t *testing.T, token string) {
		cell, err := signal.ParseCell(token)
		if err != nil || cell == "" {
			return
		}
		if id := s2.CellIDFromToken(token); id.Level() != signal.CellLevel || id.ToToken() != token {
			t.Errorf("%q is not the one token of a cell of level %d", token, signal.CellLevel)
		}
	})
}
