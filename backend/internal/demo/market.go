package demo

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"
)

// market simulates prices as random walks.
type market []quote

type quote struct {
	symbol string
	price  float64
}

func newMarket() market {
	return market{{"BTC", 96_400}, {"ETH", 3_310}, {"SOL", 212}, {"EUR", 1.0842}, {"GOLD", 2_655}, {"OIL", 71.3}}
}

// volatility is the standard deviation of one step, relative to the price.
const volatility = 0.0008

// tick changes the price of one symbol and returns it.
func (m market) tick(context.Context, time.Time) (message, error) {
	q := &m[rand.IntN(len(m))]
	q.price *= 1 + volatility*rand.NormFloat64()
	shown, err := strconv.ParseFloat(strconv.FormatFloat(q.price, 'g', 6, 64), 64) // six significant digits
	return message{name: "price:" + q.symbol, value: shown}, err
}
