package admission

import (
	"cmp"
	"log/slog"
)

const (
	// reservedDescriptors is the number of descriptors for Redis, the admin address and files.
	reservedDescriptors = 256
	// One in connShare descriptors is for connections without an event stream, but at least
	// minConns and at most maxConns.
	connShare          = 16
	minConns, maxConns = 32, 1024
	minSubscriptions   = 64
)

// Budget divides the file descriptors of this process between subscriptions and connections
// without an event stream. The process never runs out of descriptors for its connections to
// Redis, however many clients connect. wanted is the configured number of subscriptions, 0 for
// as many as possible. Budget logs a warning if it cannot be met.
func Budget(descriptors, wanted int, log *slog.Logger) (subscriptions, conns int) {
	conns = min(max(descriptors/connShare, minConns), maxConns)
	subscriptions = max(descriptors-conns-reservedDescriptors, minSubscriptions)
	if wanted > subscriptions {
		log.Warn("--max-connections exceeds the limit of open files; raise that limit (ulimit -n, LimitNOFILE=)",
			"max_connections", wanted, "allowed", subscriptions, "open_files", descriptors)
		return subscriptions, conns
	}
	return cmp.Or(wanted, subscriptions), conns
}
