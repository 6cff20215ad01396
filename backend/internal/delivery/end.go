package delivery

import (
	"errors"
	"os"

	"sluice/internal/event"
)

// EndReason is the reason for the end of a connection. The reasons that clients receive in
// stream.close have the same names.
type EndReason string

// All reasons for the end of a connection.
const (
	ClientGone   EndReason = "client-gone"   // the client closed the connection or the HTTP/2 stream
	WriteTimeout EndReason = "write-timeout" // the client accepted no data for the write timeout
	Finished     EndReason = "finished"      // all topics of the connection have ended
	Failed       EndReason = "failed"        // the system refused something that the connection needs

	Draining     = EndReason(event.Draining)
	TokenExpired = EndReason(event.TokenExpired)
	Unavailable  = EndReason(event.Unavailable)
	Overloaded   = EndReason(event.Overloaded)
)

// End describes the end of a connection.
type End struct {
	Reason EndReason
	Err    error // cause of the reason; nil if it is not known
}

// writeFailed returns the end of a connection after a failed write.
func writeFailed(err error) *End {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &End{Reason: WriteTimeout}
	}
	return &End{Reason: ClientGone}
}
