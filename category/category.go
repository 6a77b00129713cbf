// Package category is the in-market catalogue: the 104 things Aloud listens
// for, each a node of the Purchase Intent branch of the IAB Tech Lab Audience
// Taxonomy 1.1 (OpenRTB segtax 4).
//
// In: the embedded table. Out: categories by slug or by IAB id, and which of
// them are special. It never holds a sensitive category: those are suppressed
// on the device and have no node here.
//
// in-market.tsv is built on the taxonomy © IAB Tech Lab, CC BY 3.0; see
// NOTICE.
package category

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"time"

	"aloud.example/aloud"
)

//go:embed in-market.tsv
var table string

// SegTax is the OpenRTB segtax number of the IAB Audience Taxonomy 1.1.
const SegTax = 4

// Category is one row of the catalogue.
type Category struct {
	Slug     aloud.Category
	IAB      int           // Unique ID in the IAB Audience Taxonomy 1.1
	Name     string        // its name there, a path joined by " > "
	HalfLife time.Duration // how long a spoken intent keeps half of its weight
}

// Special reports whether the category is housing, credit or insurance: no ZIP
// lists, no personas and no circle under 15 miles may be used with it.
func (c Category) Special() bool { return Special(c.Slug) }

// Special is Category.Special by slug.
func Special(slug aloud.Category) bool {
	return strings.HasPrefix(string(slug), "realestate.") || strings.HasPrefix(string(slug), "finance.")
}

// rows is parsed once: the table is part of the binary, so a bad row is a
// mistake of ours and the tests find it.
var rows = sync.OnceValue(func() (r struct {
	all    []Category
	bySlug map[aloud.Category]Category
},
) {
	r.bySlug = map[aloud.Category]Category{}
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		f := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if i == 0 || len(f) != 4 {
			continue
		}
		id, _ := strconv.Atoi(f[1])
		days, _ := strconv.ParseFloat(f[3], 64)
		c := Category{Slug: aloud.Category(f[0]), IAB: id, Name: f[2], HalfLife: time.Duration(days * 24 * float64(time.Hour))}
		r.all = append(r.all, c)
		r.bySlug[c.Slug] = c
	}
	return r
})

// All returns the catalogue in the table's order. The slice is the caller's.
func All() []Category { return append([]Category(nil), rows().all...) }

// BySlug finds a category; ok is false if the catalogue has no such slug.
func BySlug(slug aloud.Category) (c Category, ok bool) {
	c, ok = rows().bySlug[slug]
	return c, ok
}
