// Command go-subscriber prints the events of a URL. It reconnects and resumes.
//
//	go run ./docs/examples/go-subscriber 'http://localhost:4000/events?stream=orders'
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/tmaxmax/go-sse"
)

func main() {
	url := "http://localhost:4000/events?stream=orders"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody) //nolint:gosec // the caller chooses the URL
	if err != nil {
		log.Fatal(err)
	}
	connection := sse.NewConnection(request)
	connection.SubscribeToAll(func(event sse.Event) {
		fmt.Println(event.Type, event.Data)
	})
	log.Fatal(connection.Connect())
}
