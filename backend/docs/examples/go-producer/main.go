// Command go-producer writes an answer to a stream that ends.
//
//	go run ./docs/examples/go-producer run:42
//	curl -N 'localhost:4000/events?stream=run:42&from=start'
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ttl is longer than a user may need to reload the page.
const ttl = time.Hour

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go-producer RUN")
	}
	options, err := redis.ParseURL(cmp.Or(os.Getenv("REDIS_URL"), "redis://127.0.0.1:6379"))
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(options)
	if err := produce(context.Background(), client, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// produce adds each word of an answer to the run, and then its end.
func produce(ctx context.Context, client *redis.Client, run string) error {
	words := strings.SplitAfter("A page that opens late shows the same answer.", " ")
	for _, word := range words {
		if err := add(ctx, client, run, "data", word); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // as a language model
	}
	end, err := json.Marshal(map[string]int{"words": len(words)})
	if err != nil {
		return err
	}
	return add(ctx, client, run, "event", "stream.end", "data", string(end))
}

// add adds an entry and renews the expiry in one transaction. The run leaves Redis even if this program dies.
func add(ctx context.Context, client *redis.Client, run string, fields ...string) error {
	_, err := client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.XAdd(ctx, &redis.XAddArgs{Stream: run, Values: fields})
		tx.Expire(ctx, run, ttl)
		return nil
	})
	return err
}
