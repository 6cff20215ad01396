// Package auth decides what a request may do. It does not know HTTP's routes, nor
// how topics are followed.
package auth

import (
	"errors"
	"fmt"
	"slices"

	"sluice/internal/event"
)

// ErrNotAllowed is wrapped by errors about topics that a request may not use.
var ErrNotAllowed = errors.New("not allowed")

// Grant is what somebody may do: lists of topics, globs included.
type Grant struct {
	Subscribe []event.Topic
	Publish   []event.Topic
}

// MaySubscribe returns nil if every name that the topic stands for is covered by one
// entry of the grant.
func (g Grant) MaySubscribe(t event.Topic) error {
	if !covered(g.Subscribe, t) {
		return fmt.Errorf("%w to subscribe to %s; the server opens topics to anyone with --allow-subscribe", ErrNotAllowed, t)
	}
	return nil
}

// MayPublish returns nil if the grant covers publishing to the topic.
func (g Grant) MayPublish(t event.Topic) error {
	if !covered(g.Publish, t) {
		return fmt.Errorf("%w to publish to %s; the server opens topics to anyone with --allow-publish", ErrNotAllowed, t)
	}
	return nil
}

func covered(list []event.Topic, t event.Topic) bool {
	return slices.ContainsFunc(list, func(allowed event.Topic) bool { return allowed.Covers(t) })
}
