// Package ci checks the files for operation. It is a separate module, so its dependencies are not those of the
// programs.
package ci

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func load(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"},
		cli.WithEnvFiles(), cli.WithDotEnv, cli.WithDefaultProfiles(profiles...))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestCompose_UpStartsTheDemo(t *testing.T) {
	got := load(t).ServiceNames()
	slices.Sort(got)
	if want := []string{"backend", "frontend", "publisher", "redis"}; !slices.Equal(got, want) {
		t.Errorf("got services %v, want %v", got, want)
	}
}

func TestCompose_ServicesHaveHealthcheck(t *testing.T) {
	for name, service := range load(t, "*").Services {
		if service.HealthCheck == nil || len(service.HealthCheck.Test) == 0 || service.HealthCheck.Disable {
			t.Errorf("%s has no healthcheck", name)
		}
	}
}

func TestCompose_ServicesWaitForDependencies(t *testing.T) {
	project := load(t, "*")
	for name, want := range map[string][]string{
		"redis":     nil,
		"backend":   {"redis"},
		"publisher": {"redis"},
		"frontend":  {"backend"},
		"app":       {"redis"},
	} {
		var got []string
		for dependency, how := range project.Services[name].DependsOn {
			got = append(got, dependency)
			if how.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s: got condition %s, want %s", name, dependency, how.Condition, types.ServiceConditionHealthy)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got dependencies %v, want %v", name, got, want)
		}
	}
}

func TestCompose_PublishesPorts(t *testing.T) {
	project := load(t, "*")
	for name, want := range map[string]string{"redis": "", "backend": "4000", "publisher": "", "frontend": "5173", "app": "4000"} {
		var got string
		for _, port := range project.Services[name].Ports {
			got += port.Published
		}
		if got != want {
			t.Errorf("%s: got port %q, want %q", name, got, want)
		}
	}
}

// timeToDrain is how long a gateway may take to stop: it closes its connections over 10 s, and ends open requests
// within another 10 s.
const timeToDrain = 20 * time.Second

func TestCompose_GatewaysHaveTimeToDrain(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"backend", "app"} {
		if grace := project.Services[name].StopGracePeriod; grace == nil || time.Duration(*grace) < timeToDrain {
			t.Errorf("%s: got a grace period of %v", name, grace)
		}
	}
}

func TestCompose_ProgramsAreSandboxed(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"backend", "publisher", "app", "redis"} {
		s := project.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: got read-only %v, dropped capabilities %v, security options %v, privileged %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt, s.Privileged)
		}
	}
}

func TestCompose_DevelopmentListensOnLoopback(t *testing.T) {
	project := load(t)
	for _, name := range []string{"backend", "frontend"} {
		for _, port := range project.Services[name].Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: got port %s on address %q", name, port.Published, port.HostIP)
			}
		}
	}
}

func TestCompose_GOMEMLIMITIsBelowLimit(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"app", "backend", "publisher"} {
		s := project.Services[name]
		var soft int64
		if text := s.Environment["GOMEMLIMIT"]; text != nil {
			_, _ = fmt.Sscanf(*text, "%dMiB", &soft)
		}
		if soft <= 0 || soft<<20 >= int64(s.MemLimit) {
			t.Errorf("%s: got GOMEMLIMIT %d MiB and a memory limit of %d bytes", name, soft, s.MemLimit)
		}
	}
}

func TestCompose_ServicesHaveMemoryLimit(t *testing.T) {
	for name, service := range load(t, "*").Services {
		if service.MemLimit <= 0 {
			t.Errorf("%s has no memory limit", name)
		}
	}
}

func TestCompose_RedisDataIsPersistent(t *testing.T) {
	project := load(t, "*")
	redis := project.Services["redis"]
	if command := strings.Join(redis.Command, " "); !strings.Contains(command, "--appendonly yes") {
		t.Errorf("got command %q", command)
	}
	if len(redis.Volumes) != 1 {
		t.Fatalf("got volumes %v", redis.Volumes)
	}
	v := redis.Volumes[0]
	if _, named := project.Volumes[v.Source]; v.Type != types.VolumeTypeVolume || !named || v.Target != "/data" || v.ReadOnly {
		t.Errorf("got volume %+v", v)
	}
}

func TestCompose_ProductionRestarts(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"app", "publisher", "redis"} {
		if restart := project.Services[name].Restart; restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: got restart %q", name, restart)
		}
	}
}

// In production the gateway replaces the development servers, one of which uses its port. There are no demo feeds.
func TestCompose_ProductionServices(t *testing.T) {
	for _, selected := range [][]string{nil, {"app"}} {
		project, err := load(t, "production").WithSelectedServices(selected)
		if err != nil {
			t.Fatal(err)
		}
		got := project.ServiceNames()
		slices.Sort(got)
		if want := []string{"app", "redis"}; !slices.Equal(got, want) {
			t.Errorf("up %q: got services %v, want %v", selected, got, want)
		}
	}
}

func TestCompose_ProductionBuildsApp(t *testing.T) {
	app := load(t, "production").Services["app"]
	if !slices.Equal(app.Profiles, []string{"production"}) || app.Build.Target != "app" {
		t.Errorf("app: got profiles %v and target %q", app.Profiles, app.Build.Target)
	}
}
