//go:build !unix

package admission

import "math"

// descriptorLimit returns the limit of open files of this process.
func descriptorLimit() int {
	return math.MaxInt32
}
