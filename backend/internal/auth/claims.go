package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/event"
)

// claims holds the claims of a token that Sluice reads. encoding/json alone matches names
// without regard to case, merges duplicates and reads quoted numbers, so two readers of one
// token could disagree; UnmarshalJSON is strict.
type claims struct {
	jwt.RegisteredClaims // implements the rest of [jwt.Claims]; always empty

	expires, notBefore *jwt.NumericDate // nil if absent
	subject            string
	subscribe, publish topics
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }

func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.notBefore, nil }

func (c *claims) UnmarshalJSON(text []byte) error {
	if err := checkMembers(text); err != nil {
		return err
	}
	// The keys of a map match exactly, unlike the names of a struct's fields.
	var members, sluice map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	for name, date := range map[string]**jwt.NumericDate{"exp": &c.expires, "nbf": &c.notBefore, "iat": new(*jwt.NumericDate)} {
		if err := readDate(members[name], date); err != nil {
			return err
		}
	}
	if err := unmarshalMember(members["sub"], &c.subject); err != nil {
		return err
	}
	if err := unmarshalMember(members["sluice"], &sluice); err != nil {
		return err
	}
	return errors.Join(unmarshalMember(sluice["subscribe"], &c.subscribe), unmarshalMember(sluice["publish"], &c.publish))
}

// unmarshalMember decodes the value of a member. An absent member leaves v unchanged.
func unmarshalMember(value json.RawMessage, v any) error {
	if value == nil {
		return nil
	}
	return json.Unmarshal(value, v)
}

// maxDate bounds dates in seconds since 1970, because [time.Time] overflows at 1<<63.
const maxDate = 1 << 62

// readDate decodes a date. An absent member leaves date unchanged.
func readDate(value json.RawMessage, date **jwt.NumericDate) error {
	if value == nil {
		return nil
	}
	var seconds *float64 // nil for null
	if err := json.Unmarshal(value, &seconds); err != nil || seconds == nil || *seconds < 0 || *seconds > maxDate {
		return claimError{"exp, nbf and iat are numbers of seconds since 1970"}
	}
	whole, fraction := math.Modf(*seconds)
	*date = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
	return nil
}

// topics is a list of topics, globs included, as texts.
type topics []event.Topic

func (t *topics) UnmarshalJSON(b []byte) error {
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil {
		return err
	}
	for _, text := range texts {
		topic, err := event.ParseGrantTopic(text)
		if err != nil {
			return claimError{"in its claim sluice: " + err.Error()}
		}
		*t = append(*t, topic)
	}
	return nil
}

// claimError is returned for claims, or a header, that break a rule of Sluice. Its text is
// for the bearer of the token.
type claimError struct{ reason string }

func (e claimError) Error() string { return e.reason }

// checkMembers returns an error if an object anywhere in a JSON text has two members of the same
// name. RFC 7519, section 4, lets a parser reject it or read the last one. checkMembers does not
// recurse: the client determines how deep the text is nested.
func checkMembers(text []byte) error {
	type level struct {
		names  map[string]bool // nil in an array
		isName bool            // the next token is a name, or the end of the object
	}
	levels := []level{{}}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		top := &levels[len(levels)-1]
		if name, ok := token.(string); ok && top.isName {
			if top.names[name] {
				return claimError{"one of its objects has two members of the same name; each name may occur once"}
			}
			top.names[name], top.isName = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: make(map[string]bool), isName: true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		top = &levels[len(levels)-1]
		top.isName = top.names != nil // a value has ended
	}
}
