package httpapi

import "log/slog"

const (
	// reservedDescriptors are for what is no client: Redis, the admin address, files.
	reservedDescriptors = 256
	// A lobby takes one of lobbyShare descriptors, but has a sensible size in any case.
	lobbyShare          = 16
	minLobby, maxLobby  = 32, 1024
	fewestSubscriptions = 64
)

// seats divides the file descriptors of this process between subscriptions, as many as
// were asked for (0 for all that there are), and connections without one. So it never
// runs out of them, whoever connects: without any left it could not reach Redis either.
func seats(descriptors, wanted int, log *slog.Logger) (subscriptions, lobby int) {
	lobby = min(max(descriptors/lobbyShare, minLobby), maxLobby)
	subscriptions = max(descriptors-lobby-reservedDescriptors, fewestSubscriptions)
	switch {
	case wanted == 0:
	case wanted <= subscriptions:
		subscriptions = wanted
	default:
		log.Warn("--max-connections is more than the limit of open files allows; raise that (ulimit -n, LimitNOFILE=)",
			"max_connections", wanted, "allowed", subscriptions, "open_files", descriptors)
	}
	return subscriptions, lobby
}
