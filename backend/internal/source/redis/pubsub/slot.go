package pubsub

import (
	"strconv"
	"strings"
	"sync"
)

// slots is how many slots a cluster has.
const slots = 1 << 14

// SlotOf returns the slot of a key or a sharded channel, as the Redis Cluster
// specification says: the slot of the text between the first braces, if that is not empty.
func SlotOf(name string) int {
	if _, rest, found := strings.Cut(name, "{"); found {
		if tag, _, found := strings.Cut(rest, "}"); found && tag != "" {
			name = tag
		}
	}
	return int(crc16(name)) % slots
}

// crc16 is CRC-16/XMODEM.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

// slotTags has, for each slot, a number whose text has it.
var slotTags = sync.OnceValue(func() *[slots]string {
	var tags [slots]string
	for n, left := 0, slots; left > 0; n++ {
		text := strconv.Itoa(n)
		if slot := SlotOf(text); tags[slot] == "" {
			tags[slot] = text
			left--
		}
	}
	return &tags
})

// InSlotOf returns a prefix for names that have the same slot as another name, so one
// command can use both.
func InSlotOf(name string) string {
	return "{" + slotTags()[SlotOf(name)] + "}"
}
