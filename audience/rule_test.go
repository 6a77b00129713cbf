package audience_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang/geo/s2"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/category"
	"aloud.example/aloud/signal"
)

func TestRuleRefused(t *testing.T) {
	const rest = `"stages":["need"],"window_seconds":86400`
	for text, says := range map[string]string{
		`{"category":"health.pills",` + rest + `}`:                                                        "catalogue",
		`{"category":"home.hvac","stages":["bought"],"window_seconds":86400}`:                             "stages",
		`{"category":"home.hvac","stages":["need","need"],"window_seconds":86400}`:                        "at most once",
		`{"category":"home.hvac","stages":[],"window_seconds":60}`:                                        "window",
		`{"category":"home.hvac","stages":[],"window_seconds":8000000000}`:                                "window",
		`{"category":"home.hvac","stages":[],"window_seconds":-9223372036854775808}`:                      "window",
		`{"category":"home.hvac",` + rest + `,"territory":{"lat":40,"lon":-74,"miles":15}}`:               "10 or of 20",
		`{"category":"home.hvac",` + rest + `,"territory":{"lat":91,"lon":-74,"miles":10}}`:               "latitude",
		`{"category":"finance.mortgage",` + rest + `,"territory":{"lat":40,"lon":-74,"miles":10}}`:        "under 15 miles",
		`{"category":"realestate.rent",` + rest + `,"territory":{"lat":1,"lon":1,"miles":10}}`:            "under 15 miles",
		`{"category":"home.hvac",` + rest + `,"participant":"p_x"}`:                                       "nothing else",
		`{"category":"home.hvac",` + rest + `,"territory":{"lat":40,"lon":-74,"miles":10,"zip":"10001"}}`: "nothing else",
	} {
		var r audience.Rule
		if err := json.Unmarshal([]byte(text), &r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", text, err, says)
		}
	}
}

func TestRuleRoundTrip(t *testing.T) {
	where, err := audience.NewTerritory(40.7, -74, 20)
	must(t, err)
	r := audience.Rule{Category: "finance.mortgage", Stages: []aloud.Stage{aloud.StageReady}, Window: 36 * time.Hour, Territory: where}
	text, err := json.Marshal(r)
	must(t, err)
	var back audience.Rule
	must(t, json.Unmarshal(text, &back))
	again, err := json.Marshal(back)
	must(t, err)
	if string(again) != string(text) {
		t.Errorf("%s came back as %s", text, again)
	}
}

func FuzzRule(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzRule")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("the seed corpus is gone: %v", err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r audience.Rule
		if json.Unmarshal(text, &r) != nil {
			return
		}
		if err := r.Check(); err != nil {
			t.Fatalf("a rule that must not be was read: %v", err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTerritory holds every cell around a circle's edge against the great
// circle distance of its own corners.
func TestTerritory(t *testing.T) {
	for _, at := range []struct{ lat, lon float64 }{{40.7, -74}, {0, 0}, {64.1, -21.9}, {-33.9, 151.2}, {21.3, 179.99}} {
		for _, miles := range []int{10, 20} {
			t.Run(fmt.Sprintf("%v %v %d", at.lat, at.lon, miles), func(t *testing.T) {
				where, err := audience.NewTerritory(at.lat, at.lon, miles)
				must(t, err)
				inside, cut, outside := 0, 0, 0
				for i := -60; i <= 60; i++ {
					for j := -60; j <= 60; j++ {
						lat := at.lat + float64(i)*0.008
						lon := at.lon + float64(j)*0.008/math.Cos(at.lat*math.Pi/180)
						if lon > 180 {
							lon -= 360
						}
						cell, err := signal.CellAt(lat, lon)
						must(t, err)
						near, far := corners(cell, at.lat, at.lon)
						got := where.Contains(cell)
						switch r := float64(miles); {
						case far <= r-1e-6:
							inside++
							if !got {
								t.Fatalf("%s is wholly inside and left out: its farthest corner is at %.3f miles", cell, far)
							}
						case far > r+1e-6 && got:
							t.Fatalf("%s is taken for inside: its farthest corner is at %.3f miles", cell, far)
						case near < r:
							cut++
						default:
							outside++
						}
					}
				}
				if inside == 0 || cut == 0 || outside == 0 {
					t.Errorf("%d inside, %d cut by the edge, %d outside: the test tests nothing", inside, cut, outside)
				}
			})
		}
	}
	where, err := audience.NewTerritory(40.7, -74, 20)
	must(t, err)
	for _, none := range []signal.Cell{"", "x", "89c25", "89c2588"} {
		if where.Contains(none) {
			t.Errorf("%q is in a territory", none)
		}
	}
}

// corners measures how far the nearest and the farthest corner of a cell are
// from a place, in miles, by the haversine formula.
func corners(c signal.Cell, lat, lon float64) (near, far float64) {
	cell := s2.CellFromCellID(s2.CellIDFromToken(string(c)))
	near = math.Inf(1)
	for k := range 4 {
		ll := s2.LatLngFromPoint(cell.Vertex(k))
		d := haversine(lat, lon, ll.Lat.Degrees(), ll.Lng.Degrees())
		near, far = min(near, d), max(far, d)
	}
	return near, far
}

func haversine(lat1, lon1, lat2, lon2 float64) float64 {
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	a := math.Pow(math.Sin(rad(lat2-lat1)/2), 2) + math.Cos(rad(lat1))*math.Cos(rad(lat2))*math.Pow(math.Sin(rad(lon2-lon1)/2), 2)
	return 2 * 6371.0088 / 1.609344 * math.Asin(math.Sqrt(a))
}

func TestRounded(t *testing.T) {
	secret := []byte("the server's own")
	shown := map[int]bool{} // the first count that is shown, of each rule
	at500 := map[string]bool{}
	for _, c := range category.All() {
		r := audience.Rule{Category: c.Slug, Window: 24 * time.Hour}
		first := 0
		for count := range 400 {
			s := audience.Rounded(secret, r, count, 0)
			switch {
			case s.Few && (first != 0 || s.String() != "fewer than 60"):
				t.Fatalf("%d is shown as %s", count, s)
			case !s.Few && (count < audience.Minimum || s.About%10 != 0 || s.About < audience.Minimum || s.About < count-15 || s.About > count+15):
				t.Fatalf("%d is shown as %s", count, s)
			case !s.Few && first == 0:
				first = count
			}
			if again := audience.Rounded(secret, r, count, 0); again != s {
				t.Fatal("asking again tells something new")
			}
		}
		if first < audience.Minimum || first > audience.Minimum+9 {
			t.Fatalf("%s is shown from %d", c.Slug, first)
		}
		shown[first] = true
		at500[audience.Rounded(secret, r, 500, 0).String()] = true
	}
	if len(shown) < 5 || len(at500) < 2 {
		t.Errorf("rules are shown from %v and 500 is %v: the noise is no noise", shown, at500)
	}
	if s := audience.Rounded(secret, audience.Rule{Category: "home.hvac", Window: time.Hour}, 1, 1); s.Few || s.About != 10 {
		t.Errorf("with a minimum of 1, 1 is shown as %s", s)
	}
}

// TestTheSameRuleHasTheSameNoise makes a rule in hundreds of ways that ask for
// the same people, which must not show more than one of them does.
func TestTheSameRuleHasTheSameNoise(t *testing.T) {
	secret := []byte("the server's own")
	at := func(lat, lon float64) *audience.Territory {
		where, err := audience.NewTerritory(lat, lon, 20)
		must(t, err)
		return where
	}
	want := audience.Rule{Category: "home.hvac", Window: 14 * 24 * time.Hour, Territory: at(39.74, -104.99)}
	for i := range 400 {
		r := want
		r.Window += time.Duration(i) * time.Second
		r.Territory = at(39.74+float64(i%3-1)/200, -104.99+float64(i%5-2)/200)
		r.Stages = [][]aloud.Stage{nil, {aloud.StageNeed, aloud.StageResearch, aloud.StageReady}, {aloud.StageReady, aloud.StageNeed, aloud.StageResearch}}[i%3]
		for count := 45; count < 75; count++ {
			if got := audience.Rounded(secret, r, count, 0); got != audience.Rounded(secret, want, count, 0) {
				t.Fatalf("%d people: %+v is shown as %s", count, r, got)
			}
		}
	}
}
