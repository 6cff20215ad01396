package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"sluice/internal/test/gatewaytest"
)

func TestMain(m *testing.M) {
	os.Exit(gatewaytest.Run(m))
}

// startGateway starts a gateway with open topics and returns its URL.
func startGateway(t *testing.T, args ...string) string {
	t.Helper()
	return gatewaytest.Start(t, append([]string{
		"--retry", "50ms", "--allow-subscribe", "channel:*,stream:*,key:*", "--allow-publish", "channel:*,stream:*,key:*",
	}, args...)...).URL()
}

// runBench runs the program as a shell does and returns its JSON result.
func runBench(t *testing.T, args ...string) (status int, r result, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append(args, "--json"), &out, &errs)
	if status != exitError {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("the result is not JSON: %v\n%s", err, out.String())
		}
	}
	return status, r, errs.String()
}
