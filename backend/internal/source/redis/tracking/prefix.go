package tracking

import (
	"slices"
	"strings"
)

// maxPrefixes bounds the prefixes of a connection: Redis compares all of them with the key
// of each write.
const maxPrefixes = 64

// mergePrefixes returns at most limit prefixes that cover all given ones, sorted, none of
// which covers another.
func mergePrefixes(prefixes []string, limit int) []string {
	longest := 0
	for _, p := range prefixes {
		longest = max(longest, len(p))
	}
	prefixes = slices.Sorted(slices.Values(prefixes))
	for ; ; longest-- {
		var merged []string
		for _, p := range prefixes {
			p = p[:min(len(p), longest)]
			if n := len(merged); n == 0 || !strings.HasPrefix(p, merged[n-1]) {
				merged = append(merged, p)
			}
		}
		if len(merged) <= limit {
			return merged
		}
		prefixes = merged
	}
}

// covered reports whether one of the prefixes covers p.
func covered(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(q string) bool { return strings.HasPrefix(p, q) })
}
