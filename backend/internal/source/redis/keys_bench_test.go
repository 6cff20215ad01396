package redis_test

import (
	"fmt"
	"testing"
	"time"

	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

// BenchmarkKey_UnrelatedSet measures the time that Redis needs for a SET of a key that is not
// followed, by the number of followed literal keys.
func BenchmarkKey_UnrelatedSet(b *testing.B) {
	for _, followed := range []int{0, 1_000, 10_000} {
		b.Run(fmt.Sprint(followed, " followed"), func(b *testing.B) {
			server := redistest.Start(b)
			src := connect(b, server, quiet)
			follow := make([]source.Following, followed)
			for i := range follow {
				follow[i] = src.Follow(keyNamed(fmt.Sprint("followed:", i)), newRecordingSink(b))
			}
			for _, f := range follow {
				awaitLive(b, f)
			}
			client := server.Client()
			before := commandMicroseconds(b, server, "set")
			b.ResetTimer()
			for n := 0; n < b.N; n += 1000 {
				pipe := client.Pipeline()
				for i := range 1000 {
					pipe.Set(b.Context(), "unrelated", i, time.Hour)
				}
				if _, err := pipe.Exec(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			spent := commandMicroseconds(b, server, "set") - before
			b.ReportMetric(1000*spent/float64((b.N+999)/1000*1000), "redis-ns/set")
		})
	}
}
