//go:build !unix

package admission

import "math"

// DescriptorLimit returns the limit of open files of this process.
func DescriptorLimit() int {
	return math.MaxInt32
}
