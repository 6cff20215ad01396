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
	for ; ; longest-- {
		var merged []string
		for _, p := range prefixes {
			merged = append(merged, p[:min(len(p), longest)])
		}
		slices.Sort(merged)
		merged = withoutCovered(merged)
		if len(merged) <= limit {
			return merged
		}
		prefixes = merged
	}
}

// withoutCovered drops prefixes that another one covers. They must be sorted.
func withoutCovered(prefixes []string) []string {
	var kept []string
	for _, p := range prefixes {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// covered reports whether one of the prefixes covers p.
func covered(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(q string) bool { return strings.HasPrefix(p, q) })
}
