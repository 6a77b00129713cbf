package campaign

import "fmt"

// Micros is an amount in millionths of a dollar. As a CPM it is the price of a
// thousand impressions.
type Micros int64

// Nanos is an amount in billionths of a dollar: what single impressions cost.
type Nanos int64

// Each is what one impression costs at a CPM.
func (cpm Micros) Each() Nanos { return Nanos(cpm) }

// Nanos is the same amount in billionths.
func (m Micros) Nanos() Nanos { return Nanos(m) * 1000 }

// String writes dollars.
func (m Micros) String() string { return fmt.Sprintf("%d.%06d", m/1_000_000, m%1_000_000) }

// The limits of what anybody pays, far below what would overflow.
const (
	MaxCPM    Micros = 1_000_000_000         // 1000 dollars
	MaxBudget Micros = 1_000_000_000_000_000 // a billion dollars a day
)
