package source

import (
	"crypto/sha256"
	"strconv"
	"time"
)

// IdempotencyTime is the time for which a repeated publish gets the first answer.
const IdempotencyTime = 10 * time.Minute

// IdempotencySum returns the hash of an idempotency key of a stream.
func IdempotencySum(stream, key string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.Quote(stream) + key))
}
