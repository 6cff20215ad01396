package httpapi

import (
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"
)

const forwardedFor = "X-Forwarded-For"

// normalizeForwarded rewrites X-Forwarded-For to one line of addresses. Some proxies add the
// client's port or brackets, some add a second line; gin reads the first line only,
// which the client may have written, and no ports.
func normalizeForwarded(c *gin.Context) {
	if len(c.Request.Header.Values(forwardedFor)) == 0 {
		return
	}
	entries := listItems(c.Request, forwardedFor)
	for i, entry := range entries {
		entries[i] = bareAddr(strings.TrimSpace(entry))
	}
	c.Request.Header.Set(forwardedFor, strings.Join(entries, ", "))
}

// bareAddr returns the address of an entry such as 192.0.2.1:5555, [2001:db8::1]:5555 or
// [2001:db8::1], without its zone. Other texts are returned unchanged.
func bareAddr(entry string) string {
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return withPort.Addr().WithZone("").String()
	}
	text := entry
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.WithZone("").String()
	}
	return entry
}
