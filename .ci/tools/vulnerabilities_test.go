package ci

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Outputs and exit statuses of govulncheck and npm audit: with a finding, without one, and after a failed lookup.
const (
	nothingFound = "echo Nothing was found."
	goFinding    = "echo 'Vulnerability #1: GO-2026-0001'; echo 'Your code is affected by 1 vulnerability.'; exit 3"
	npmFinding   = "echo '# npm audit report'; echo '1 high severity vulnerability'; exit 1"
	npmFindings  = "echo '# npm audit report'; echo '3 vulnerabilities (1 low, 2 high)'; exit 1"
	goAway       = "echo 'govulncheck: fetching vulnerabilities: Get \"https://vuln.go.dev\": dial tcp: connection refused' >&2; echo 'exit status 1' >&2; exit 1"
	npmAway      = "echo 'npm warn Unknown user config' >&2; echo >&2; echo 'npm error audit endpoint returned an error' >&2; exit 1"
)

func TestVulnerabilities_OnlyFindingFails(t *testing.T) {
	for _, tt := range []struct {
		name, goSays, npmSays string
		fails                 bool
		said                  string
	}{
		{"no finding", nothingFound, nothingFound, false, "npm audit: no known vulnerabilities"},
		{"a finding in the programs", goFinding, nothingFound, true, "GO-2026-0001"},
		{"a finding in the app", nothingFound, npmFinding, true, "1 high severity vulnerability"},
		{"several findings in the app", nothingFound, npmFindings, true, "3 vulnerabilities"},
		{"a finding in the programs, and npm audit fails", goFinding, npmAway, true, "npm audit: NOT CHECKED"},
		{"a finding in the app, and govulncheck fails", goAway, npmFinding, true, "govulncheck: NOT CHECKED"},
		{"both fail", goAway, npmAway, false, "govulncheck: NOT CHECKED: govulncheck: fetching vulnerabilities"},
		{"npm audit fails", nothingFound, npmAway, false, "npm audit: NOT CHECKED: npm error audit endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			programs := t.TempDir()
			for name, says := range map[string]string{"go": tt.goSays, "npm": tt.npmSays} {
				if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+says+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("../vulnerabilities")
			cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if err != nil && !errors.As(err, new(*exec.ExitError)) {
				t.Fatal(err)
			}
			if (err != nil) != tt.fails || !strings.Contains(string(out), tt.said) {
				t.Errorf("got error %v, want %q in\n%s", err, tt.said, out)
			}
		})
	}
}
