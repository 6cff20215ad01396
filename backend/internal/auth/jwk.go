package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// minRSABits is the minimum size of a key for RS256 (RFC 7518, section 3.3).
const minRSABits = 2048

// publicKey is a key of a set. It verifies one algorithm only.
type publicKey struct {
	id        string // empty if the key has no id
	algorithm string
	key       crypto.PublicKey
}

// jwk holds the members of a JSON Web Key that describe a public key (RFC 7517, section 4;
// RFC 7518, sections 6.2 and 6.3; RFC 8037, section 2).
type jwk struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	X         number `json:"x"`
	Y         number `json:"y"`
	Modulus   number `json:"n"`
	Exponent  number `json:"e"`
}

// number is a big-endian number or a byte string that JSON holds as base64url.
type number []byte

func (n *number) UnmarshalText(text []byte) (err error) {
	*n, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(string(text), "="))
	return err
}

// parseKeys parses a JSON Web Key Set (RFC 7517, section 5). It ignores keys for other algorithms
// or other uses, as the RFC requires. It returns an error if no key remains.
func parseKeys(text []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	var keys []publicKey
	var unusable []string
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if err != nil {
			unusable = append(unusable, fmt.Sprintf("; key %d: %v", i+1, err))
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no key in the set is for RS256, ES256 or EdDSA%s", strings.Join(unusable, ""))
	}
	return keys, nil
}

func parseKey(raw []byte) (publicKey, error) {
	var j jwk
	if err := json.Unmarshal(raw, &j); err != nil {
		return publicKey{}, err
	}
	key := publicKey{id: j.ID}
	var err error
	switch {
	case j.Type == "RSA":
		key.algorithm = rs256
		key.key, err = j.rsa()
	case j.Type == "EC" && j.Curve == "P-256":
		key.algorithm = es256
		key.key, err = j.p256()
	case j.Type == "OKP" && j.Curve == "Ed25519":
		key.algorithm = edDSA
		key.key, err = j.ed25519()
	default:
		err = fmt.Errorf("the type %q with the curve %q is not supported", j.Type, j.Curve)
	}
	switch {
	case err != nil:
	case j.Algorithm != "" && j.Algorithm != key.algorithm:
		err = fmt.Errorf("it is for %s", j.Algorithm)
	case j.Use != "" && j.Use != "sig":
		err = fmt.Errorf("its use is %q", j.Use)
	}
	return key, err
}

func (j jwk) rsa() (*rsa.PublicKey, error) {
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(j.Modulus)}
	e := new(big.Int).SetBytes(j.Exponent)
	switch {
	case key.N.BitLen() < minRSABits:
		return nil, fmt.Errorf("a modulus of %d bits is too short; use at least %d", key.N.BitLen(), minRSABits)
	case e.BitLen() < 2 || e.BitLen() > 31:
		return nil, errors.New("the exponent is out of range")
	}
	key.E = int(e.Int64())
	return key, nil
}

func (j jwk) p256() (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bytes.Join([][]byte{{4}, j.X, j.Y}, nil))
}

func (j jwk) ed25519() (ed25519.PublicKey, error) {
	if len(j.X) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("an Ed25519 key has %d bytes, not %d", ed25519.PublicKeySize, len(j.X))
	}
	return ed25519.PublicKey(j.X), nil
}
