package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// site counts the visitors of a web shop.
type site struct{ active float64 }

func newSite() *site {
	return &site{active: 240}
}

// share is a part of the traffic.
type share struct {
	name string
	part int // percent
}

var (
	pages     = []share{{"/", 34}, {"/products", 27}, {"/cart", 16}, {"/checkout", 9}, {"/help", 14}}
	countries = []share{{"US", 31}, {"DE", 18}, {"IN", 17}, {"GB", 12}, {"BR", 11}, {"JP", 11}}
)

// viewsPerUser is how many pages an active user looks at in a second, on average.
const viewsPerUser = 0.12

// count makes the figures of one second.
func (s *site) count(_ context.Context, now time.Time) (message, error) {
	// Users come and go slowly, and are drawn back to a usual number.
	s.active = max(20, s.active+0.02*(240-s.active)+4*rand.NormFloat64())
	views := max(0, int(math.Round(s.active*viewsPerUser+3*rand.NormFloat64())))
	byPage := make(map[string]int)
	byCountry := make(map[string]int)
	part := func(s share) int { return s.part }
	for range views {
		byPage[pick(pages, part).name]++
		byCountry[pick(countries, part).name]++
	}
	return message{value: struct {
		Time       string         `json:"time"`
		PageViews  int            `json:"page_views"`
		Active     int            `json:"active_users"`
		Conversion float64        `json:"conversion_percent"`
		ByPage     map[string]int `json:"by_page"`
		ByCountry  map[string]int `json:"by_country"`
	}{timestamp(now), views, int(s.active), rounded(2.8 + 0.4*rand.NormFloat64()), byPage, byCountry}}, nil
}
