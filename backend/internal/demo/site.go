package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// site simulates the visitors of a web shop.
type site struct{ active float64 } // users

// usualUsers is the number of users at the start, and the number towards which it tends.
const usualUsers = 240

// share is the share of a page or country in the traffic.
type share struct {
	name    string
	percent int
}

var (
	pages     = []share{{"/", 34}, {"/products", 27}, {"/cart", 16}, {"/checkout", 9}, {"/help", 14}}
	countries = []share{{"US", 31}, {"DE", 18}, {"IN", 17}, {"GB", 12}, {"BR", 11}, {"JP", 11}}
)

// viewsPerUser is the average number of page views per second of an active user.
const viewsPerUser = 0.12

// count returns the analytics of one second.
func (s *site) count(_ context.Context, now time.Time) (message, error) {
	s.active = max(20, s.active+0.02*(usualUsers-s.active)+4*rand.NormFloat64())
	views := max(0, int(math.Round(s.active*viewsPerUser+3*rand.NormFloat64())))
	byPage := make(map[string]int)
	byCountry := make(map[string]int)
	weight := func(s share) int { return s.percent }
	for range views {
		byPage[pick(pages, weight).name]++
		byCountry[pick(countries, weight).name]++
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
