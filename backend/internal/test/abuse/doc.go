// Package abuse holds black-box tests of hostile clients: their requests are invalid, too many, or
// never end. The tests run the real program on a real Redis, with default settings unless a test
// says otherwise. The package has only tests.
package abuse
