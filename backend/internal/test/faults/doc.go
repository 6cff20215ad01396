// Package faults holds black-box tests of faults: real gateways and Redis servers are killed,
// frozen, disconnected and lose data while numbered messages are published, and the audit of every
// subscriber must succeed. The package has only tests.
package faults
