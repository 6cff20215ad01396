package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// exposure is the maximum score of systemd-analyze security, times ten.
const exposure = "20"

func TestSystemd_UnitIsValidAndHardened(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	// systemd-analyze requires that the command exists.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "sluice.service")
	text := strings.ReplaceAll(string(deployFile(t, "systemd/sluice.service")), "/usr/local/bin/sluice", self)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", unit},
		{"security", "--offline=true", "--no-pager", "--threshold=" + exposure, unit},
	} {
		if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestSystemd_GatewaysHaveTimeToDrain(t *testing.T) {
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(deployFile(t, "systemd/sluice.service"))
	if found == nil {
		t.Fatal("the unit has no TimeoutStopSec")
	}
	if limit, _ := time.ParseDuration(string(found[1]) + "s"); limit < timeToDrain {
		t.Errorf("got TimeoutStopSec %s", limit)
	}
}
