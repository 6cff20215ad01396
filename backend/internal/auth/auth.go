// Package auth decides what a request may do. It does not know HTTP's routes, nor
// how topics are followed.
package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/internal/event"
)

var (
	// ErrTokenNeeded is wrapped by errors about topics that a request without a token may
	// not use, and another one perhaps may.
	ErrTokenNeeded = errors.New("not allowed")
	// ErrNotAllowed is wrapped by errors about topics that a token does not allow.
	ErrNotAllowed = errors.New("the token does not allow")
	// ErrInvalidToken is wrapped by errors about tokens that will never be taken.
	ErrInvalidToken = errors.New("invalid token")
	// ErrNoKeys is wrapped by errors about tokens that cannot be verified for now, since the
	// set of keys cannot be had.
	ErrNoKeys = errors.New("the keys that verify tokens cannot be loaded")
)

// Grant is what somebody may do: lists of topics, globs included.
type Grant struct {
	Subscribe []event.Topic
	Publish   []event.Topic

	Expires time.Time // when it ends; zero for never
	Holder  string    // tells the bearer of one token from all others, and not the token; empty without one
	Subject string    // claim sub of the token; empty without one

	advice     string // where there is no token: what to do about that
	unverified error  // why nobody can know yet what else its token allows, or nil
}

// MaySubscribe returns nil if every name that the topic stands for is covered by one
// entry of the grant. The error wraps [ErrNoKeys] where that may change when the keys can
// be had.
func (g Grant) MaySubscribe(t event.Topic) error {
	return g.may("subscribe", g.Subscribe, t)
}

// MayPublish returns nil if the grant covers publishing to the topic. Its errors are those
// of MaySubscribe.
func (g Grant) MayPublish(t event.Topic) error {
	return g.may("publish", g.Publish, t)
}

// MayTrim returns nil if the request has a token. A publish with maxlen deletes entries of
// others, so the right to publish without a token does not include it. Its errors are those
// of MayPublish.
func (g Grant) MayTrim(t event.Topic) error {
	switch {
	case g.Holder != "":
		return nil
	case g.unverified != nil:
		return g.unverified
	}
	return fmt.Errorf("%w to trim %s without a token; %s, or leave out maxlen", ErrTokenNeeded, t, g.advice)
}

// may names the topic that was asked for and no other: not even which there are is
// everybody's business.
func (g Grant) may(do string, list []event.Topic, t event.Topic) error {
	switch {
	case slices.ContainsFunc(list, func(allowed event.Topic) bool { return allowed.Covers(t) }):
		return nil
	case g.unverified != nil:
		return g.unverified
	case g.Holder != "":
		return fmt.Errorf("%w to %s to %s; get one whose claim sluice.%s has a topic that covers it", ErrNotAllowed, do, t, do)
	}
	return fmt.Errorf("%w to %s to %s without a token; %s, or have the server open the topic to anyone with --allow-%s",
		ErrTokenNeeded, do, t, g.advice, do)
}
