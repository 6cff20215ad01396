// Package abuse holds tests in which strangers mean ill: what they send cannot be meant,
// there is too much of it, or it never ends. They run against the real program on a real
// Redis, as it is right after installation unless a test says otherwise. It has no code
// of its own.
package abuse
