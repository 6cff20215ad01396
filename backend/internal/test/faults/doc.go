// Package faults holds tests in which things break: real gateways and real Redis
// servers are killed, frozen, cut off and robbed of their data while numbered messages
// flow, and the audit of every subscriber must hold. It has no code of its own.
package faults
