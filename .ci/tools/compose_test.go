// Package ci checks the files around the programs. It is a module of its own, so
// that what it needs stays out of the programs' module.
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
		t.Errorf("services = %v, want %v", got, want)
	}
}

func TestCompose_EachServiceTellsWhetherItIsHealthy(t *testing.T) {
	for name, service := range load(t, "*").Services {
		if service.HealthCheck == nil || len(service.HealthCheck.Test) == 0 || service.HealthCheck.Disable {
			t.Errorf("%s has no healthcheck", name)
		}
	}
}

func TestCompose_EachServiceWaitsForWhatItNeeds(t *testing.T) {
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
				t.Errorf("%s waits for %s until %s, want %s", name, dependency, how.Condition, types.ServiceConditionHealthy)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s waits for %v, want %v", name, got, want)
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
			t.Errorf("%s publishes port %q, want %q", name, got, want)
		}
	}
}

// timeToDrain is how long a gateway may take to end: it lets its clients go over 10 s, and
// finishes within 10 s what is under way.
const timeToDrain = 20 * time.Second

func TestCompose_GatewaysHaveTimeToDrain(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"backend", "app"} {
		if grace := project.Services[name].StopGracePeriod; grace == nil || time.Duration(*grace) < timeToDrain {
			t.Errorf("%s is killed after %v", name, grace)
		}
	}
}

func TestCompose_ProgramsAreConfined(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"backend", "publisher", "app", "redis"} {
		s := project.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: read-only %v, without %v, %v, privileged %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt, s.Privileged)
		}
	}
}

func TestCompose_DevelopmentListensOnLoopbackOnly(t *testing.T) {
	project := load(t)
	for _, name := range []string{"backend", "frontend"} {
		for _, port := range project.Services[name].Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
}

func TestCompose_GoKeepsBelowTheMemoryLimit(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"app", "backend", "publisher"} {
		s := project.Services[name]
		var soft int64
		if text := s.Environment["GOMEMLIMIT"]; text != nil {
			_, _ = fmt.Sscanf(*text, "%dMiB", &soft)
		}
		if soft <= 0 || soft<<20 >= int64(s.MemLimit) {
			t.Errorf("%s has GOMEMLIMIT %d MiB and a limit of %d bytes", name, soft, s.MemLimit)
		}
	}
}

func TestCompose_EachServiceIsBoundInMemory(t *testing.T) {
	for name, service := range load(t, "*").Services {
		if service.MemLimit <= 0 {
			t.Errorf("%s may take all memory", name)
		}
	}
}

func TestCompose_RedisKeepsItsDataWhenItsContainerIsGone(t *testing.T) {
	project := load(t, "*")
	redis := project.Services["redis"]
	if command := strings.Join(redis.Command, " "); !strings.Contains(command, "--appendonly yes") {
		t.Errorf("it is started by %q", command)
	}
	if len(redis.Volumes) != 1 {
		t.Fatalf("it has volumes %v", redis.Volumes)
	}
	v := redis.Volumes[0]
	if _, named := project.Volumes[v.Source]; v.Type != types.VolumeTypeVolume || !named || v.Target != "/data" || v.ReadOnly {
		t.Errorf("its volume is %+v", v)
	}
}

func TestCompose_ProductionComesBackByItself(t *testing.T) {
	project := load(t, "*")
	for _, name := range []string{"app", "publisher", "redis"} {
		if restart := project.Services[name].Restart; restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s is restarted %q", name, restart)
		}
	}
}

// The gateway takes the place of the development servers, one of which has its port, and
// the demo feeds are no data of production.
func TestCompose_ProductionStartsTheGatewayAndRedisOnly(t *testing.T) {
	for _, selected := range [][]string{nil, {"app"}} {
		project, err := load(t, "production").WithSelectedServices(selected)
		if err != nil {
			t.Fatal(err)
		}
		got := project.ServiceNames()
		slices.Sort(got)
		if want := []string{"app", "redis"}; !slices.Equal(got, want) {
			t.Errorf("up %q starts %v, want %v", selected, got, want)
		}
	}
}

func TestCompose_ProductionBuildsTheApp(t *testing.T) {
	app := load(t, "production").Services["app"]
	if !slices.Equal(app.Profiles, []string{"production"}) || app.Build.Target != "app" {
		t.Errorf("app has profiles %v and target %q", app.Profiles, app.Build.Target)
	}
}
