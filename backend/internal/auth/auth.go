// Package auth decides which topics a request may subscribe and publish to. It does not know
// about HTTP routes or about the way topics are followed.
package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/internal/event"
)

var (
	// ErrTokenNeeded is wrapped by errors about topics that need a token.
	ErrTokenNeeded = errors.New("not allowed")
	// ErrNotAllowed is wrapped by errors about topics that a token does not allow.
	ErrNotAllowed = errors.New("the token does not allow")
	// ErrInvalidToken is wrapped by errors about tokens that are not valid.
	ErrInvalidToken = errors.New("invalid token")
	// ErrNoKeys is wrapped by errors about tokens that cannot be verified at the moment, because
	// the key set cannot be loaded.
	ErrNoKeys = errors.New("the keys that verify tokens cannot be loaded")
)

// Grant holds the permissions of a request: lists of topics, globs included.
type Grant struct {
	Subscribe []event.Topic
	Publish   []event.Topic

	Expires time.Time // end of the permissions; zero for never
	Holder  string    // identifies the token without revealing it; empty without a token
	Subject string    // claim sub of the token; empty without a token

	advice     string // for errors about a request without a token: how to get the permission
	unverified error  // error if the token could not be verified at the moment, or nil
}

// MaySubscribe returns nil if one entry of the grant covers every name that the topic stands
// for. Otherwise the error wraps [ErrNotAllowed], [ErrTokenNeeded], or [ErrNoKeys] if the token
// of the request may allow the topic but cannot be verified.
func (g Grant) MaySubscribe(t event.Topic) error {
	return g.may("subscribe", g.Subscribe, t)
}

// MayPublish is [Grant.MaySubscribe] for publishing.
func (g Grant) MayPublish(t event.Topic) error {
	return g.may("publish", g.Publish, t)
}

// MayTrim returns nil if the request has a token. A publish with maxlen deletes entries of other
// publishers, so the permission to publish without a token does not include it. Otherwise the
// error wraps [ErrTokenNeeded] or [ErrNoKeys].
func (g Grant) MayTrim(t event.Topic) error {
	switch {
	case g.Holder != "":
		return nil
	case g.unverified != nil:
		return g.unverified
	}
	return fmt.Errorf("%w to trim %s without a token; %s, or leave out maxlen", ErrTokenNeeded, t, g.advice)
}

// may checks a topic against a list. Its errors name no topics of the list, because the caller
// may not be allowed to know them.
func (g Grant) may(do string, list []event.Topic, t event.Topic) error {
	switch {
	case slices.ContainsFunc(list, func(allowed event.Topic) bool { return allowed.Covers(t) }):
		return nil
	case g.unverified != nil:
		return g.unverified
	case g.Holder != "":
		return fmt.Errorf("%w to %s to %s; get one whose claim sluice.%s has a topic that covers it", ErrNotAllowed, do, t, do)
	}
	return fmt.Errorf("%w to %s to %s without a token; %s, or allow the topic to anyone with --allow-%s on the server",
		ErrTokenNeeded, do, t, g.advice, do)
}
