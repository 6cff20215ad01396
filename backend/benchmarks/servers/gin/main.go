// Command gin is the baseline in Go: gin, with a channel for each client and a flush for each event.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

// waiting is the number of queued events after which a client loses events.
const waiting = 256

// broker distributes messages to the clients.
type broker struct {
	mu      sync.RWMutex
	clients map[chan string]struct{}
}

func (b *broker) join() chan string {
	client := make(chan string, waiting)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clients[client] = struct{}{}
	return client
}

func (b *broker) leave(client chan string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, client)
}

func (b *broker) publish(message string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for client := range b.clients {
		select {
		case client <- message:
		default: // a slow client must not delay the others
		}
	}
}

func main() {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	updates := redis.NewClient(options).Subscribe(ctx, "updates")
	if _, err := updates.Receive(ctx); err != nil {
		log.Fatal(err)
	}
	b := &broker{clients: make(map[chan string]struct{})}
	go func() {
		for message := range updates.Channel() {
			b.publish(message.Payload)
		}
	}()

	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/events", func(c *gin.Context) {
		client := b.join()
		defer b.leave(client)
		c.Header("Content-Type", "text/event-stream")
		c.Header("Cache-Control", "no-cache")
		c.Header("Access-Control-Allow-Origin", "*")
		c.Status(http.StatusOK)
		c.Writer.Flush()
		c.Stream(func(io.Writer) bool {
			select {
			case message := <-client:
				c.SSEvent("message", message)
				return true
			case <-c.Request.Context().Done():
				return false
			}
		})
	})
	log.Fatal(router.Run("127.0.0.1:" + os.Getenv("PORT")))
}
