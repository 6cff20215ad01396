//go:build !unix

package httpapi

import "math"

// descriptorLimit returns how many files this process may have open.
func descriptorLimit() int {
	return math.MaxInt32
}
