package category_test

import (
	"testing"

	"aloud.example/aloud/category"
)

func TestCatalogue(t *testing.T) {
	all := category.All()
	if len(all) != 104 {
		t.Fatalf("catalogue has %d categories, want 104", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		if c.IAB <= 0 || c.Name == "" || c.HalfLife <= 0 {
			t.Errorf("%s: incomplete row %+v", c.Slug, c)
		}
		if seen[string(c.Slug)] {
			t.Errorf("%s: twice", c.Slug)
		}
		seen[string(c.Slug)] = true
		if got, ok := category.BySlug(c.Slug); !ok || got != c {
			t.Errorf("BySlug(%s) = %+v, %v", c.Slug, got, ok)
		}
	}
	if _, ok := category.BySlug("health.pills"); ok {
		t.Error("a category that must not exist was found")
	}
	if !category.Special("finance.mortgage") || category.Special("home.hvac") {
		t.Error("special categories are realestate.* and finance.*, no others")
	}
}
